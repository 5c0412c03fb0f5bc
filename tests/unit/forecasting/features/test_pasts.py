from __future__ import annotations

import numpy as np

from forecasting.features.pasts import Rows, Stack, in_units, lead
from forecasting.series import TimeSeries

NAN = np.nan


def test_gaps_of_a_quarter_of_an_hour_take_the_last_known_load() -> None:
    values = np.array([NAN, NAN, 4.0, NAN, NAN, NAN, NAN, 8.0, NAN])
    np.testing.assert_array_equal(in_units(values, 4.0, 300), [NAN, NAN, 1.0, 1.0, 1.0, 1.0, NAN, 2.0, 2.0])
    np.testing.assert_array_equal(in_units(values, 4.0, 3600), [NAN, NAN, 1.0, 1.0, NAN, NAN, NAN, 2.0, 2.0])


def test_windows_lie_side_by_side_and_what_is_not_known_is_missing() -> None:
    loads = np.arange(10.0)
    rows = Rows(loads, 0, 60, np.array([2, 9]))
    # of the first window all, of the second what there is, of the third what is not after the origin
    windows = [(1, 0), (4, 2), (0, -2)]
    expected = [[1, 2, NAN, NAN, 0, 2, NAN, NAN], [8, 9, 5, 6, 7, 9, NAN, NAN]]
    np.testing.assert_array_equal(rows.take(windows), expected)
    young = Rows(loads, 0, 60, np.array([2, 9]), seen=np.array([1, 3]))
    expected = [[NAN, 2, NAN, NAN, NAN, 2, NAN, NAN], [8, 9, NAN, NAN, 7, 9, NAN, NAN]]
    np.testing.assert_array_equal(young.take(windows), expected)
    assert rows.times.tolist() == [120, 540]


def test_the_ends_of_many_series_are_taken_as_those_of_one() -> None:
    values = np.arange(1.0, 101.0)
    values[[3, 60, 61, 62, 96, 97, 98, 99]] = NAN
    values[70] = -4.0
    series = [TimeSeries(0, 300, values), TimeSeries(0, 300, values[:40]), TimeSeries(0, 300, values[:64])]
    windows = [(40 + lead(300), 25), (20, -1)]
    stacked = Stack(series, [1.0, 2.0, 4.0]).take(windows)
    kept = [*range(lead(300), 16 + lead(300)), *range(16 + 2 * lead(300), stacked.shape[1])]
    for row, (one, unit) in enumerate(zip(series, (1.0, 2.0, 4.0), strict=True)):
        alone = Rows.of(one, np.array([len(one) - 1]), unit).take(windows)[0]
        np.testing.assert_array_equal(stacked[row, kept], alone[kept])
