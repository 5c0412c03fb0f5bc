from __future__ import annotations

import numpy as np
import pytest

from forecasting.prepare.profile import Profile, fit_profiles, profile_at


def _t(n: int, first: int = 0) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return first + np.arange(n, dtype=np.int64)


def test_a_profile_is_read_at_times_since_the_epoch() -> None:
    profile = Profile(length=4, width=1, bins=np.array([0, 1, 2, 3], dtype=np.float32))
    assert profile.at(np.array([0, 5, 1003, -1])).tolist() == [0, 1, 3, 3]


def test_wide_bins_are_interpolated_between_their_centres() -> None:
    profile = Profile(length=8, width=4, bins=np.array([0, 4], dtype=np.float32))
    # centres lie between steps 1 and 2, and between 5 and 6
    assert profile.at(np.arange(8)).tolist() == [1.5, 0.5, 0.5, 1.5, 2.5, 3.5, 3.5, 2.5]


@pytest.mark.parametrize("first", [0, 777])
def test_a_rhythm_is_learned_from_other_cycles_only(first: int) -> None:
    random = np.random.default_rng(0)
    t = _t(1440 * 8, first)
    clean = 10 + 4 * np.sin(2 * np.pi * t / 1440)
    values = clean + random.normal(0, 1, t.size)
    values[random.random(t.size) < 0.1] = np.nan
    (profile,), others = fit_profiles(values, t, (1440,))
    assert np.sqrt(np.mean((profile.at(t) - clean) ** 2)) < 0.2
    assert np.sqrt(np.mean((others - clean) ** 2)) < 0.3
    # a spike in one cycle moves the profile but not what the others say of that cycle
    spiked = values.copy()
    spiked[5000:5010] = 500
    _, others_spiked = fit_profiles(spiked, t, (1440,))
    assert others_spiked[5000:5010] == pytest.approx(others[5000:5010], abs=2)


def test_noise_gets_a_flat_profile() -> None:
    values = 50 + np.random.default_rng(1).normal(0, 10, 1440 * 5)
    (profile,), _ = fit_profiles(values, _t(values.size), (1440,))
    assert np.ptp(profile.bins) < 6


def test_longer_seasons_take_what_shorter_ones_leave() -> None:
    t = _t(288 * 28)
    weekend = np.where(t // 288 % 7 >= 5, -3.0, 0.0)
    values = 10 + 2 * np.sin(2 * np.pi * t / 288) + weekend + np.random.default_rng(2).normal(0, 0.5, t.size)
    profiles, _ = fit_profiles(values, t, (2016, 288))
    assert [p.length for p in profiles] == [288, 2016]
    clean = 10 + 2 * np.sin(2 * np.pi * t / 288) + weekend
    assert np.sqrt(np.mean((profile_at(profiles, t) - clean) ** 2)) < 0.5


def test_a_season_without_two_cycles_is_passed_over() -> None:
    profiles, others = fit_profiles(np.arange(1000.0), _t(1000), (600,))
    assert profiles == ()
    assert not others.any()
    assert not profile_at((), _t(3)).any()


def test_one_huge_sample_leaves_the_profile_finite() -> None:
    values = np.full(400, 5.0)
    values[2] = 1e49
    (profile,), others = fit_profiles(values, _t(400), (100,))
    assert np.isfinite(profile.bins).all()
    assert np.isfinite(others).all()


def test_holidays_teach_the_day_of_rest_nothing_and_take_its_profile() -> None:
    t = _t(70)  # ten weeks of seven steps; the last step of each is the day of rest
    values = np.where(t % 7 == 6, 0.0, 10.0)
    resting = t.copy()
    for holiday, rest in ((8, 13), (66, 69), (0, 6)):
        resting[holiday], values[holiday] = rest, 3.0
    (profile,), others = fit_profiles(values, t, (7,), resting=resting, week=7)
    assert profile.weekly
    assert profile.bins.tolist() == pytest.approx([10.0] * 6 + [0.0], abs=0.01)
    assert others[[8, 66, 0]] == pytest.approx([0.0] * 3, abs=0.01)
    assert profile_at((profile,), t, resting)[[8, 66, 0]] == pytest.approx([0.0] * 3, abs=0.01)
    assert profile_at((profile,), t)[[8, 66, 0]] == pytest.approx([10.0] * 3, abs=0.01)
    # a season that is no week knows no days of rest
    (other,), _ = fit_profiles(values, t, (5,), resting=resting, week=7)
    assert not other.weekly
