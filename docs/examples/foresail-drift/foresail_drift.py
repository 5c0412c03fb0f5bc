"""The last value with a drift: an example of a forecaster that plugs into Foresail.

Source: Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd ed., 2021, section 5.2.
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

__all__ = ["Drift", "FittedDrift"]


@stored_as("foresail-drift/1")  # a name of your own, kept for ever: stored models are found by it
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedDrift(PathForecaster):
    """A line through the first and the last known sample of the latest past.

    Attributes:
        window: Samples looked back.
    """

    window: int

    @property
    def context_length(self) -> int:
        """Samples that a forecast looks at."""
        return self.window

    def paths(self, windows: Windows, horizon: int) -> FloatArray:
        """The line continued; one row per origin, shape (N, horizon)."""
        values = windows.values
        first = np.argmax(~np.isnan(values), axis=1)
        span = np.maximum(values.shape[1] - 1 - first, 1)
        slope = (windows.last - values[np.arange(len(values)), first]) / span
        return np.asarray(windows.last[:, None] + slope[:, None] * np.arange(1, horizon + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The last value with a drift, and calibrated bands around it.

    Attributes:
        window: Samples that the drift is taken over.
    """

    window: int = 30

    name: ClassVar[str] = "drift"

    def min_history(self, step: int) -> int:
        """Samples needed: some windows to calibrate on."""
        del step
        return 3 * self.window

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedDrift:
        """Nothing to estimate; what it got wrong in the past gives the bands."""
        del levels  # the bands serve all
        require(self.name, series, self.min_history(series.step))
        return fit_calibrated(
            lambda scaled: FittedDrift(step=scaled.step, window=self.window),
            series,
            horizon=horizon,
            folds=(),
            plain=True,
        )
