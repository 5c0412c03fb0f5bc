from __future__ import annotations

import numpy as np
import pytest

from forecasting.prepare.gaps import carried, filled, gap_lengths, interpolated

NAN = np.nan


def test_the_last_known_sample_is_carried_forward_and_the_first_back() -> None:
    values = np.array([[NAN, 1, NAN, NAN, 2], [3, NAN, 4, NAN, NAN], [NAN] * 5])
    expected = [[1, 1, 1, 1, 2], [3, 3, 4, 4, 4], [NAN] * 5]
    assert carried(values) == pytest.approx(np.array(expected), nan_ok=True)


def test_gaps_are_measured() -> None:
    assert gap_lengths(np.array([NAN, 1, NAN, NAN, 2, NAN])).tolist() == [1, 0, 2, 2, 0, 1]


def test_straight_lines_bridge_gaps() -> None:
    assert interpolated(np.array([NAN, 1, NAN, NAN, 4, NAN])).tolist() == [1, 1, 2, 3, 4, 4]
    assert np.isnan(interpolated(np.full(3, NAN))).all()


def test_long_gaps_take_the_samples_a_season_away_never_zeros() -> None:
    season = np.sin(2 * np.pi * np.arange(400) / 100) + 5
    values = season.copy()
    values[220:260] = NAN
    values[50:55] = NAN
    out = filled(values, (100,))
    assert out[220:260] == pytest.approx(season[220:260])
    assert out[50:55] == pytest.approx(season[50:55], abs=0.01)  # a short one: a line
    assert filled(values)[240] == pytest.approx(season[219] * 19 / 41 + season[260] * 22 / 41, abs=0.1)


def test_a_gap_at_the_start_takes_the_season_after() -> None:
    values = np.tile(np.arange(50.0), 4)
    expected = values.copy()
    values[:40] = NAN
    assert filled(values, (50,)).tolist() == expected.tolist()


def test_nothing_known_stays_missing_and_all_known_stays_as_it_is() -> None:
    assert np.isnan(filled(np.full(30, NAN), (10,))).all()
    whole = np.arange(5.0)
    assert filled(whole) is whole
