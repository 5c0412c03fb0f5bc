"""Methods compete on the latest part of a history: what each lost there, against the last value.

From rolling origins, the pinball losses of values and peaks are compared with those of the last value, whose bands are
calibrated on what came before, as the methods are fitted to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import predict_many
from forecasting.boosting import anchors
from forecasting.calibration import future, running_maximum
from forecasting.errors import FitFailed, InsufficientHistory
from forecasting.evaluation import pinball_loss
from forecasting.features.scalefree import Scale
from forecasting.models.naive import Naive
from forecasting.windows import scattered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecasting.forecaster import FittedForecaster, Forecaster
    from forecasting.series import FloatArray, TimeSeries

__all__ = ["LEVELS", "Contest", "attempt"]

# Levels and origins that the methods are judged at.
LEVELS = (0.5, 0.9, 0.95)
_ORIGINS = 240
# Loads in units are cut here, so that sums of losses stay finite.
_LARGEST = 1e100


class Contest:
    """Rolling origins in the held-out part, and what the last value lost there."""

    def __init__(self, series: TimeSeries, cut: int, horizon: int) -> None:
        self._series = series
        last = max(cut + 1, len(series) - horizon)
        self._origins = cut + scattered(_ORIGINS, last - cut)
        self._horizon = horizon
        self._unit = Scale.of(series.values).unit
        self.horizons = anchors(series.step, max(1, horizon))
        self._at = np.array(self.horizons) - 1
        came = future(series.values, self._origins, horizon)
        self._came = np.stack([came, running_maximum(came)])[..., self._at]
        # the reference has no parameters besides its bands, so it is fitted like the others: before the cut
        self._before = series.first(cut)
        reference = attempt(Naive(), self._before, horizon)
        self._reference = None if reference is None else self._losses(reference)

    def loss(self, fitted: FittedForecaster) -> FloatArray:
        """Pinball loss of values and peaks relative to the last value's, mean over levels; shape (2, horizons)."""
        if self._reference is None:
            return np.ones((2, len(self.horizons)))
        mine = self._losses(fitted)
        known = (self._reference > 0) & np.isfinite(mine)
        with np.errstate(over="ignore"):  # against next to no loss any is too much; what is cut is past the clip below
            relative = np.minimum(np.where(known, mine / np.where(known, self._reference, 1.0), 1.0), _LARGEST)
        return np.asarray(np.clip(relative.mean(axis=1), 1e-6, 1e6))

    def losses(self, methods: Mapping[str, Forecaster]) -> dict[str, FloatArray]:
        """The same of these, fitted to what came before; without those that cannot be."""
        fitted = {name: attempt(method, self._before, self._horizon) for name, method in methods.items()}
        return {name: self.loss(one) for name, one in fitted.items() if one is not None}

    def _losses(self, fitted: FittedForecaster) -> FloatArray:
        """Mean pinball losses; shape (2, levels, horizons)."""
        batch = predict_many(fitted, self._series, self._origins, horizon=self._horizon, levels=LEVELS)
        level = np.array(LEVELS)[None, None, :, None]
        with np.errstate(over="ignore", under="ignore"):
            found = np.minimum(np.stack([batch.values, batch.peak])[..., self._at] / self._unit, _LARGEST)
            came = np.minimum(self._came / self._unit, _LARGEST)
        losses = pinball_loss(came[:, :, None, :], found, level)
        known = ~np.isnan(losses)
        total = np.where(known, losses, 0.0).sum(axis=1)
        return np.asarray(total / np.maximum(known.sum(axis=1), 1))


def attempt(method: Forecaster, series: TimeSeries, horizon: int) -> FittedForecaster | None:
    """The method fitted, or None if it cannot be: it is left out."""
    try:
        return method.fit(series, horizon=horizon, levels=LEVELS)
    except (InsufficientHistory, FitFailed):
        return None
