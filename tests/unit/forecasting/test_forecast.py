"""Forecasts checked at once are those that are checked one by one."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.errors import InvalidForecast
from forecasting.forecast import Forecast

LEVELS = (0.5, 0.9)


def test_each_of_several_is_kept_or_refused_as_it_is_alone() -> None:
    values = np.tile([[[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]], (8, 1, 1))
    peak = values + 1
    values[1, 0, 0], values[2, 1, 2] = np.nan, 2.5
    values[5] = -1.0  # no load, but a forecast
    peak[3, 1, 1], peak[4, 0, 2] = np.inf, 2.5
    peak[6, 1, :2] = 5.0, 4.5
    values[7, 0, 0] = 2.5
    values[7, 1, 0] = 2.6
    found = Forecast.of_each(list(range(8)), 60, LEVELS, values, peak)
    for row, one in enumerate(found):
        if one is None:
            with pytest.raises(InvalidForecast):
                Forecast(row, 60, LEVELS, values[row], peak[row])
        else:
            assert one == Forecast(row, 60, LEVELS, values[row], peak[row])
    assert [row for row, one in enumerate(found) if one is not None] == [0, 5]


def test_what_is_kept_is_nobody_elses() -> None:
    values = np.ones((2, 2, 3))
    (one, _) = Forecast.of_each([0, 60], 60, LEVELS, values, values)
    values[:] = 7.0
    assert one is not None
    assert one.values.tolist() == one.peak.tolist() == np.ones((2, 3)).tolist()
    assert not one.values.flags.writeable
    assert not one.peak.flags.writeable


@pytest.mark.parametrize(("step", "levels", "steps"), [(0, LEVELS, 3), (60, (0.5,), 3), (60, LEVELS, 0)])
def test_of_another_shape_none_is_kept(step: int, levels: tuple[float, ...], steps: int) -> None:
    values = np.ones((2, 2, steps))
    assert Forecast.of_each([0, 60], step, levels, values, values) == [None, None]
