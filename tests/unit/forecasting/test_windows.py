from __future__ import annotations

import numpy as np
import pytest

from forecasting.series import TimeSeries
from forecasting.windows import Windows, golden, scattered, thinned

NAN = np.nan


def test_a_window_ends_at_its_origin_and_sees_nothing_later() -> None:
    series = TimeSeries(600, 60, np.arange(10.0))
    windows = Windows.at(series, np.array([1, 5, 9]), 3)
    assert windows.values == pytest.approx(np.array([[NAN, 0, 1], [3, 4, 5], [7, 8, 9]]), nan_ok=True)
    assert windows.ends.tolist() == [660, 900, 1140]
    assert windows.age.tolist() == [0, 0, 0]
    assert windows.times()[1].tolist() == [780, 840, 900]
    assert windows.times_ahead(2)[1].tolist() == [960, 1020]


def test_a_trailing_gap_makes_the_window_older_not_longer() -> None:
    series = TimeSeries(0, 60, np.array([1.0, 2, 3, 4, NAN, NAN]))
    windows = Windows.at(series, np.array([5]), 4)
    # samples 2..5 were asked for: 0 and 1 lie outside, however old the anchor
    assert windows.values == pytest.approx(np.array([[NAN, NAN, 3, 4]]), nan_ok=True)
    assert windows.ends.tolist() == [180]
    assert windows.age.tolist() == [2]


def test_origins_with_nothing_known_are_left_out() -> None:
    series = TimeSeries(0, 60, np.array([NAN, 1.0, NAN, NAN, NAN, 2.0]))
    windows = Windows.at(series, np.arange(6), 3)
    assert windows.rows.tolist() == [1, 2, 3, 5]
    assert windows.age.tolist() == [0, 1, 2, 0]
    assert windows.last.tolist() == [1, 1, 1, 2]


def test_rows_can_be_taken() -> None:
    windows = Windows.at(TimeSeries(0, 60, np.arange(10.0)), np.arange(10), 2).take(np.array([3, 7]))
    assert len(windows) == 2
    assert windows.length == 2
    assert windows.last.tolist() == [3, 7]


def test_at_the_ends_of_several_series_each_has_the_window_that_it_has_alone() -> None:
    pasts = [np.arange(9.0), [5.0, 2.0], [1.0, 2, 3, 4, NAN, NAN], [NAN, NAN, NAN], [7.0, NAN]]
    series = [TimeSeries(600 * row, 60, np.array(past)).last(4) for row, past in enumerate(pasts)]
    units = [1.0, 2.0, 0.5, 1.0, 1.0]
    found = Windows.at_ends(series, units, 4)
    assert found.rows.tolist() == [0, 1, 2, 4]
    for row, at in enumerate(found.rows.tolist()):
        alone = Windows.at(series[at], np.array([len(series[at]) - 1]), 4)
        assert found.values[row] == pytest.approx(alone.values[0] / units[at], nan_ok=True)
        assert (found.ends[row], found.age[row]) == (alone.ends[0], alone.age[0])
    assert [(age, some.rows.tolist()) for age, some in found.by_age()] == [(0, [0, 1]), (1, [4]), (2, [2])]


@pytest.mark.parametrize(("count", "of"), [(7, 100), (200, 3000), (1, 5), (240, 4320)])
def test_scattered_positions_are_one_in_each_of_as_many_stretches(count: int, of: int) -> None:
    found = scattered(count, of)
    assert (np.diff(found) > 0).all()
    begins = np.arange(count) * (of / count)
    assert ((found > begins - 1) & (found < begins + of / count)).all()


def test_where_there_are_no_more_all_are_taken() -> None:
    assert scattered(5, 3).tolist() == [0, 1, 2]
    assert scattered(3, 3).tolist() == [0, 1, 2]
    assert scattered(0, 0).tolist() == []
    assert scattered(-1, -2).tolist() == []


def test_thinned_positions_are_so_many_or_up_to_twice_as_many() -> None:
    positions = np.arange(7, 4007)
    assert thinned(positions, 4000).tolist() == thinned(positions, 2001).tolist() == positions.tolist()
    some = thinned(positions, 500)
    assert 450 <= len(some) <= 500
    assert set(some) < set(positions)


@pytest.mark.parametrize("period", [2, 3, 5, 15, 30, 60])
@pytest.mark.parametrize("every", [5, 15, 18, 30, 60])
def test_a_load_that_goes_by_the_clock_is_seen_at_all_its_moments(period: int, every: int) -> None:
    moments = np.bincount(scattered(600, 600 * every) % period, minlength=period)
    assert moments.min() > 0.5 * 600 / period


def test_golden_places_are_even_over_every_stretch() -> None:
    places = golden(1000, 0.25)
    assert places[0] == 0.25
    for some in (places[:20], places[300:340], places):
        gaps = np.diff(np.sort(some))
        assert gaps.max() < 2.7 / len(some)
