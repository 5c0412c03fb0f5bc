"""What a series' covariates and its own latest samples were, and a ridge regression on that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import InvalidSeries
from forecasting.features.pasts import filled
from forecasting.features.scalefree import Scale
from forecasting.features.seen import FLOOR
from forecasting.series import FloatArray  # noqa: TC001  # msgspec reads the annotations

if TYPE_CHECKING:
    from forecasting.series import TimeSeries
    from forecasting.windows import IntArray

__all__ = ["Lags", "Regression"]

# Minutes before the origin that are looked at, and of the load itself.
_MINUTES = (*range(16), 18, 21, 24, 27, 30, 35, 40, 45, 50, 55, 60)
_OWN = (0, 1, 2, 3, 5, 10, 15)
# Strengths of the penalty that are tried, as shares of the number of examples.
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
_UNKNOWN = 0.5  # of its samples: a covariate that lacks more is not looked at
_CHUNK = 256  # rows multiplied at once
# Horizons beyond so many steps are not all explained: those between are interpolated.
_DENSE, _SPARSE = 30, 12


@dataclass(frozen=True, eq=False, kw_only=True)
class Lags:
    """Where to look, and in which units.

    Attributes:
        step: Seconds between samples.
        unit: Of the load.
        units: Of the covariates; shape (K,), NaN for those that are not looked at.
    """

    step: int
    unit: float
    units: FloatArray

    @property
    def unknown(self) -> tuple[int, ...]:
        """Which covariates are not looked at, from 0."""
        return tuple(np.flatnonzero(np.isnan(self.units)).tolist())

    @classmethod
    def of_series(cls, series: TimeSeries) -> Lags:
        """Those of a series with covariates; of those that were unknown half of the time, none."""
        covariates = _covariates(series)
        seldom = np.isnan(covariates).mean(axis=1) > _UNKNOWN
        units = np.where(seldom, np.nan, [Scale.of(np.abs(row)).unit for row in covariates])
        return cls(step=series.step, unit=Scale.of(series.values).unit, units=units)

    @property
    def reach(self) -> int:
        """Samples looked back, with those that short gaps are filled from."""
        return max(self._steps(_MINUTES)) + 15 * 60 // self.step + 2

    def of(self, series: TimeSeries, origins: IntArray) -> FloatArray:
        """Logs of the covariates' and the load's latest samples at these positions; shape (N, F), NaN where unknown.

        Raises:
            InvalidSeries: The series has another number of covariates than the one these lags were made for.
        """
        covariates = _covariates(series)
        if len(covariates) != len(self.units):
            raise InvalidSeries(f"the context has {len(covariates)} covariates, {len(self.units)} were fitted")
        looked_at = np.flatnonzero(~np.isnan(self.units))
        beside = [_signed_log(filled(covariates[i], self.step) / self.units[i]) for i in looked_at]
        own = np.log(np.maximum(filled(series.values, self.step) / self.unit, 0.0) + FLOOR)
        parts = [_before(row, origins, self._steps(_MINUTES)) for row in beside]
        return np.concatenate([*parts, _before(own, origins, self._steps(_OWN))], axis=1)

    def highest(self, series: TimeSeries) -> float:
        """The highest load, in units."""
        return float(np.nanmax(series.values, initial=0.0) / self.unit)

    def _steps(self, minutes: tuple[int, ...]) -> list[int]:
        return sorted({round(minute * 60 / self.step) for minute in minutes})


@dataclass(frozen=True, eq=False, kw_only=True)
class Regression:
    """Linear in what it looks at, with a ridge penalty on standardised inputs.

    Attributes:
        horizons: Steps that have weights of their own; those between are interpolated, those beyond held.
        penalty: The strength chosen, a share of the number of examples.
        lowest: Of each input where it was learned: what is below counts as that; shape (F,).
        highest: Likewise above.
        weights: Shape (F, len(horizons)).
        offset: Shape (len(horizons),).
    """

    horizons: tuple[int, ...]
    penalty: float
    lowest: FloatArray
    highest: FloatArray
    weights: FloatArray
    offset: FloatArray

    @classmethod
    def fit(cls, x: FloatArray, y: FloatArray, other_x: FloatArray, other_y: FloatArray) -> Regression:
        """The regression of y on x whose penalty serves other rows best.

        Args:
            x: Shape (N, F).
            y: Shape (N, H).
            other_x: Rows that choose the penalty; shape (M, F).
            other_y: Shape (M, H).
        """
        tried = [_solved(x, y, penalty) for penalty in _PENALTIES]
        losses = [float(np.abs(other_y - one.predict(other_x, y.shape[1])).mean()) for one in tried]
        return tried[int(np.argmin(losses))]

    def refitted(self, x: FloatArray, y: FloatArray) -> Regression:
        """The same regression of these."""
        return _solved(x, y, self.penalty)

    def predict(self, x: FloatArray, horizon: int) -> FloatArray:
        """Shape (N, horizon). A row's numbers are the same whoever else is in the batch."""
        seen = np.clip(x, self.lowest, self.highest)
        out = np.empty((len(x), len(self.horizons)))
        for first in range(0, len(x), _CHUNK):
            rows = seen[first : first + _CHUNK, :, None]
            out[first : first + _CHUNK] = (rows * self.weights).sum(axis=1) + self.offset
        ahead = np.arange(1, horizon + 1)
        nodes = np.stack([np.interp(ahead, self.horizons, row) for row in np.eye(len(self.horizons))])
        return np.asarray((out[:, :, None] * nodes).sum(axis=1))


def _solved(x: FloatArray, y: FloatArray, penalty: float) -> Regression:
    """Ridge regression in closed form; what does not vary has no weight."""
    longest = y.shape[1]
    beyond = np.geomspace(_DENSE, max(longest, _DENSE), _SPARSE).round().astype(int)
    horizons = sorted({h for h in (*range(1, _DENSE + 1), *beyond.tolist()) if h <= longest})
    target = y[:, np.array(horizons) - 1]
    centre, size = x.mean(axis=0), x.std(axis=0)
    size = np.where(size > 1e-9, size, np.inf)
    inputs, mean = (x - centre) / size, target.mean(axis=0)
    gram = inputs.T @ inputs + penalty * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, inputs.T @ (target - mean)) / size[:, None]
    return Regression(
        horizons=tuple(horizons),
        penalty=penalty,
        lowest=x.min(axis=0),
        highest=x.max(axis=0),
        weights=weights,
        offset=mean - centre @ weights,
    )


def _covariates(series: TimeSeries) -> FloatArray:
    if series.covariates is None:
        raise InvalidSeries("the series has no covariates")
    return series.covariates


def _signed_log(x: FloatArray) -> FloatArray:
    """Log of what is above a small floor, mirrored for what is negative: 0 at 0."""
    with np.errstate(over="ignore"):
        return np.asarray(np.sign(x) * np.log1p(np.minimum(np.abs(x), 2.0**20) / FLOOR))


def _before(row: FloatArray, origins: IntArray, lags: list[int]) -> FloatArray:
    """The samples so many steps before each origin; shape (N, lags), NaN before the first."""
    at = origins[:, None] - np.array(lags)
    return np.where(at < 0, np.nan, row[np.maximum(at, 0)])
