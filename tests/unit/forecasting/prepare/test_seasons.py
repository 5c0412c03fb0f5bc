from __future__ import annotations

import numpy as np
import pytest

from forecasting.prepare.seasons import find_seasons
from forecasting.series import FloatArray, TimeSeries


def _noise(n: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=n)


def _rhythm(n: int, length: int) -> FloatArray:
    t = np.arange(n)
    return np.asarray(np.sin(2 * np.pi * t / length) + 0.5 * (t % length > 0.8 * length))


@pytest.mark.parametrize(("step", "length"), [(60, 1440), (300, 288), (60, 60), (60, 37), (60, 700), (300, 100)])
def test_a_season_is_found_whatever_its_length(step: int, length: int) -> None:
    n = 12 * length if length >= 288 else 4000
    seasons = find_seasons(TimeSeries(0, step, _rhythm(n, length) + 0.5 * _noise(n)))
    assert seasons
    assert seasons[0].length == pytest.approx(length, rel=0.01)
    assert 0.3 < seasons[0].strength <= 1


def test_several_seasons_are_found_at_once() -> None:
    n = 4 * 10080
    week = 1.0 * (np.arange(n) // 1440 % 7 < 5)
    series = TimeSeries(0, 60, _rhythm(n, 1440) + week + 0.3 * _noise(n))
    assert [season.length for season in find_seasons(series)] == [1440, 10080]


def test_short_and_long_seasons_are_found_together() -> None:
    n = 10080
    series = TimeSeries(0, 60, _rhythm(n, 1440) + 2 * (np.arange(n) % 30 == 0) + 0.2 * _noise(n))
    assert {season.length for season in find_seasons(series)} == {1440, 30}


def _two_weeks(step: int, hours: tuple[float, ...], noise: float) -> list[float]:
    """The lengths found, in hours, of what peaks once in each of these."""
    n = 14 * 86400 // step
    values = noise * _noise(n)
    for at, length in enumerate(hours):
        phase = np.arange(n) * step / 3600 % length / length
        values += 30 * np.exp(-((phase - 0.3 - 0.1 * at) ** 2) / (2 * 0.12**2))
    return sorted(season.length * step / 3600 for season in find_seasons(TimeSeries(0, step, values)))


@pytest.mark.parametrize("noise", [1.5, 7.5])
@pytest.mark.parametrize("hours", [(8,), (36,), (8, 24), (10, 24), (0.5, 8, 24)])
def test_lengths_are_right_to_the_minute(hours: tuple[float, ...], noise: float) -> None:
    assert _two_weeks(60, hours, noise) == list(hours)


@pytest.mark.parametrize("noise", [1.5, 7.5])
def test_lengths_are_right_to_five_minutes(noise: float) -> None:
    assert _two_weeks(300, (36,), noise) == [36]
    # of a day and a half there are nine cycles, and a day beside it is every second time the same
    assert _two_weeks(60, (24, 36), noise) == pytest.approx([24, 36], abs=1 / 12)


@pytest.mark.parametrize("minutes", [481, 487, 2150])
def test_a_length_beside_a_round_one_is_not_taken_for_it(minutes: int) -> None:
    n = 28 * 1440
    series = TimeSeries(0, 60, _rhythm(n, minutes) + 0.5 * _noise(n))
    assert [season.length for season in find_seasons(series)][:1] == [minutes]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n", [600, 4000, 10080])
def test_noise_has_no_season_however_red(seed: int, n: int) -> None:
    white = _noise(n, seed)
    red = np.zeros(n)
    for t in range(1, n):
        red[t] = 0.95 * red[t - 1] + white[t]
    for values in (white, red, np.cumsum(white)):
        assert find_seasons(TimeSeries(0, 60, values)) == ()


def test_a_flash_crowd_is_no_season() -> None:
    values = 10 + _noise(10080)
    values[3000:3060] = 1000
    assert find_seasons(TimeSeries(0, 60, values)) == ()


def test_missing_samples_do_not_hide_a_season() -> None:
    n = 10080
    values = _rhythm(n, 1440) + 0.3 * _noise(n)
    values[2000:2600] = np.nan
    values[np.random.default_rng(1).random(n) < 0.2] = np.nan
    assert [season.length for season in find_seasons(TimeSeries(0, 60, values))] == [1440]


@pytest.mark.parametrize(
    "values", [np.zeros(5000), np.full(5000, 7.0), np.full(5000, np.nan), np.zeros(0), np.zeros(3)]
)
def test_what_does_not_move_has_no_season(values: FloatArray) -> None:
    assert find_seasons(TimeSeries(0, 60, values)) == ()


def test_scale_does_not_matter() -> None:
    values = _rhythm(10080, 1440) + 2
    expected = find_seasons(TimeSeries(0, 60, values))
    for factor in (1e-300, 1e300):
        assert [s.length for s in find_seasons(TimeSeries(0, 60, values * factor))] == [s.length for s in expected]
