"""The series' own unit: with load measured in it, no method needs to care for 1e300 or 1e-300."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from forecasting.series import FloatArray

__all__ = ["LARGEST", "cut", "in_units", "unit_of"]

# Load in units is cut here: squares and sums of it stay finite.
LARGEST = 1e100


def unit_of(values: FloatArray) -> float:
    """A power of two near the typical size of the values that are not 0, so that dividing by it rounds nothing."""
    sizes = np.abs(values[~np.isnan(values) & (values != 0)])
    if not sizes.size:
        return 1.0
    return float(2.0 ** np.clip(np.round(np.median(np.log2(sizes))), -1000, 1000))


def in_units(series: TimeSeries, unit: float) -> TimeSeries:
    """The series divided by the unit, cut at 1e100 units."""
    return TimeSeries(series.start, series.step, cut(series.values, unit))


def cut(values: FloatArray, unit: FloatArray | float) -> FloatArray:
    """Loads divided by the unit, or by one each, cut at 1e100 units."""
    with np.errstate(over="ignore", under="ignore"):
        return np.clip(values / unit, -LARGEST, LARGEST)
