from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.features.rolling import Track, filled_forward, rolling_maximum, shifted


def noisy(n: int, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    random = np.random.default_rng(seed)
    values = random.normal(size=n).astype(np.float32)
    values[random.random(n) < 0.1] = np.nan
    return values


@given(width=st.integers(1, 70), seed=st.integers(0, 5))
def test_a_rolling_maximum_is_the_maximum_of_each_window(width: int, seed: int) -> None:
    values = noisy(60, seed)
    got = rolling_maximum(values, width)
    for i in range(60):
        window = values[max(0, i + 1 - width) : i + 1]
        want = np.nan if np.isnan(window).all() else np.nanmax(window)
        assert got[i] == want or (np.isnan(got[i]) and np.isnan(want))


@pytest.mark.parametrize("width", [1, 7, 300])
def test_windows_are_summed_and_their_largest_found(width: int) -> None:
    values = noisy(2000)
    track = Track(values[None], 4096.0)
    everywhere = np.arange(2000)[None]
    total, squares, count = track.sums(everywhere, width)
    highest = track.highest(everywhere, width)
    for i in (0, 5, 299, 1234, 1999):
        window = np.rint(values[max(0, i + 1 - width) : i + 1].astype(np.float64) * 4096) / 4096
        assert count[0, i] == np.count_nonzero(~np.isnan(window))
        assert [total[0, i], squares[0, i]] == [np.nansum(window), np.nansum(window**2)]
        known = values[max(0, i + 1 - width) : i + 1]
        np.testing.assert_array_equal(highest[0, i], np.fmax.reduce(known))


def test_a_window_does_not_know_where_the_track_begins() -> None:
    values = noisy(3000) * np.float32(0.1)
    ends = np.arange(2500, 3000)
    long = Track(values[None], 4096.0).sums(ends[None], 1440)
    short = Track(values[None, 1000:], 4096.0).sums(ends[None] - 1000, 1440)
    for a, b in zip(long, short, strict=True):
        np.testing.assert_array_equal(a, b)


def test_windows_before_the_start_are_unknown() -> None:
    track = Track(np.arange(10, dtype=np.float32)[None], 1.0)
    assert [float(part[0, 0]) for part in track.totals(np.array([[-3]]), 5)] == [0.0, 0.0]
    assert np.isnan(track.highest(np.array([[-3]]), 5)).all()
    assert np.isnan(track.at(np.array([[-1]]))).all()
    assert [float(part[0, 0]) for part in track.totals(np.array([[1]]), 5)] == [1.0, 2.0]


def test_rows_may_be_asked_at_positions_of_their_own() -> None:
    track = Track(np.arange(20, dtype=np.float32).reshape(2, 10), 1.0)
    np.testing.assert_array_equal(track.at(np.array([[3], [4]])), [[3], [14]])
    np.testing.assert_array_equal(track.highest(np.array([[3], [4]]), 2), [[3], [14]])
    np.testing.assert_array_equal(track.totals(np.array([[3], [4]]), 2), [[[5], [27]], [[2], [2]]])


def test_gaps_are_filled_forward_and_not_for_ever() -> None:
    values = np.array([np.nan, 1, np.nan, np.nan, np.nan, 2, np.nan])
    np.testing.assert_array_equal(filled_forward(values, 2), [np.nan, 1, 1, 1, np.nan, 2, 2])


@pytest.mark.parametrize(("by", "want"), [(0, [1, 2, 3]), (1, [2, 3, np.nan]), (5, [np.nan] * 3)])
def test_shifting_brings_later_values_here(by: int, want: list[float]) -> None:
    np.testing.assert_array_equal(shifted(np.array([1, 2, 3], dtype=np.float32), by), want)
