"""The last value, for ever: what every other method has to beat.

Source: Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd ed., 2021, section 5.2. The
bands are additive split-conformal residual quantiles. History: 30 known samples. Cost: about 20 ms to fit
10,080 points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from forecasting.paths import PathForecaster, fit_calibrated, require
from forecasting.serialise import stored_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import Windows

__all__ = ["FittedNaive", "Naive"]

_MIN_HISTORY = 30
# The last known value is the forecast through gaps of up to so many steps.
_CONTEXT = 120


@stored_as("naive/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedNaive(PathForecaster):
    """Repeats the last known value, with conformal bands."""

    @property
    def context_length(self) -> int:
        """Steps looked back for a known value."""
        return _CONTEXT

    def paths(self, windows: Windows, horizon: int) -> FloatArray:
        """The last value at every horizon."""
        return np.repeat(windows.last[:, None], horizon, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naive:
    """The last value with conformal bands."""

    name: ClassVar[str] = "naive"

    def min_history(self, step: int) -> int:
        """Known samples needed, whatever the step."""
        del step
        return _MIN_HISTORY

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedNaive:
        """Ranks how far the series moved within each horizon."""
        del levels  # calibrated on a grid that serves all
        require(self.name, series, self.min_history(series.step))
        return fit_calibrated(
            lambda scaled: FittedNaive(step=scaled.step), series, horizon=horizon, folds=(), plain=True
        )
