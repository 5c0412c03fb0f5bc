"""The common engine: a method that predicts one path becomes a calibrated quantile forecaster.

A method subclasses `PathForecaster` and writes `paths`; `fit_calibrated` fits and calibrates it. All
arithmetic is elementwise over origins, so a batch of origins gets, number for number, what each gets alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from forecasting.batch import ForecastBatch, predict_last, require_alike, require_horizon
from forecasting.calibration import Bands, around, future
from forecasting.errors import InsufficientHistory, InvalidSeries
from forecasting.forecast import checked_levels, rearranged
from forecasting.prepare.scale import LARGEST, in_units, unit_of
from forecasting.spread import Spread, calibrated, widths
from forecasting.windows import Windows, scattered

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from forecasting.forecast import Forecast
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["PathForecaster", "fit_calibrated", "require"]

# A path may leave the range of what the series ever showed by this factor, not more: trends end.
_LEEWAY = 3.0
# Numbers of windows handled at once: bounds the memory of a batch.
_CHUNK = 4_000_000


@dataclass(frozen=True, eq=False, kw_only=True)
class PathForecaster(ABC):
    """A fitted method: predicts one path per origin and puts calibrated bands around it.

    Attributes:
        step: Seconds between samples, of the series fitted.
        unit: Power of two near the series' typical load. `paths` sees the load divided by it, so methods
            need not care for 1e300 or 1e-300; a power of two, so nothing is rounded.
        ceiling: Highest load seen in training, in units.
        spread: How residuals are scaled.
        bands: Conformal residual quantiles, on that scale.
    """

    step: int
    unit: float = 1.0
    ceiling: float = LARGEST
    spread: Spread = field(default_factory=Spread)
    bands: Bands = field(default_factory=Bands.none)

    @property
    @abstractmethod
    def context_length(self) -> int:
        """How many of the latest samples are looked at."""

    @abstractmethod
    def paths(self, windows: Windows, horizon: int) -> FloatArray:
        """The path expected after each window, in units; shape (N, horizon).

        Must treat each row by elementwise arithmetic, whatever the other rows hold.
        """

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        """See `forecasting.forecaster.FittedForecaster.predict`."""
        seen = context.last(self.context_length)
        return predict_last(self, seen, horizon=horizon, levels=levels, purpose="a forecast")

    def predict_many(
        self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts from each of these positions of the series; see `forecasting.batch.PredictsMany`."""
        levels = checked_levels(levels)
        if series.step != self.step:
            raise InvalidSeries(
                f"the context's step is {series.step} s, but the forecaster was fitted at {self.step} s"
            )
        require_horizon(horizon)
        origins = np.asarray(origins, dtype=np.int64)
        values = np.full((len(origins), len(levels), horizon), np.nan)
        peak = values.copy()
        begin = max(0, int(origins.min(initial=len(series))) + 1 - self.context_length)
        scaled = in_units(series.last(len(series) - begin), self.unit)
        size = max(1, _CHUNK // (self.context_length + horizon * len(levels)))
        for first in range(0, len(origins) if len(series) else 0, size):
            windows = Windows.at(scaled, origins[first : first + size] - begin, self.context_length)
            for age, part in windows.by_age():
                found = _quantiles((self,), part, horizon, levels, age)
                values[first + part.rows], peak[first + part.rows] = found
        return ForecastBatch(series.start + series.step * origins, series.step, levels, values, peak)

    @property
    def shared(self) -> Hashable:
        """What forecasters must have in common for `predict_all`."""
        return self.step, self.context_length

    @classmethod
    def predict_all(
        cls, fitted: Sequence[Self], contexts: Sequence[TimeSeries], *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts of several series in one pass; see `forecasting.together.PredictsTogether`.

        Raises:
            InvalidSeries: A context's step is not the fitted one, or the forecasters do not share what they must.
        """
        levels = checked_levels(levels)
        require_alike(fitted, contexts, by="of one kind")
        seen = [context.last(one.context_length) for one, context in zip(fitted, contexts, strict=True)]
        windows = Windows.at_ends(seen, [one.unit for one in fitted], max(one.context_length for one in fitted))
        values = np.full((len(fitted), len(levels), horizon), np.nan)
        peak = values.copy()
        for age, part in windows.by_age():
            found = _quantiles([fitted[row] for row in part.rows], part, horizon, levels, age)
            values[part.rows], peak[part.rows] = found
        return ForecastBatch.at_ends(contexts, levels, values, peak)

    @classmethod
    def paths_of(cls, fitted: Sequence[Self], windows: Windows, horizon: int) -> FloatArray:
        """What `paths` gives: of one forecaster for all windows, or of one for each; shape (N, horizon)."""
        if len(fitted) == 1:
            return fitted[0].paths(windows, horizon)
        rows = np.arange(len(fitted))[:, None]
        return np.concatenate([one.paths(windows.take(row), horizon) for one, row in zip(fitted, rows, strict=True)])


def _quantiles(
    fitted: Sequence[PathForecaster], windows: Windows, horizon: int, levels: tuple[float, ...], age: int
) -> tuple[FloatArray, FloatArray]:
    """Quantiles of values and peaks; each of shape (N, levels, horizon).

    Args:
        fitted: One for all windows, or one for each.
        windows: All of one age.
        horizon: Steps to forecast.
        levels: Quantile levels.
        age: The windows' age: steps that come before those.
    """
    paths = _bounded(fitted, windows, horizon + age)
    if len(fitted) == 1:
        return _banded(fitted, windows, paths, levels, age)
    values = np.empty((len(paths), len(levels), horizon))
    peak = values.copy()
    kinds: dict[Hashable, list[int]] = {}
    for row, one in enumerate(fitted):
        kinds.setdefault((one.spread.kind, one.bands.horizons.tobytes()), []).append(row)
    for rows in kinds.values():
        some = [fitted[row] for row in rows]
        values[rows], peak[rows] = _banded(some, windows.take(np.array(rows)), paths[rows], levels, age)
    return values, peak


def _banded(
    fitted: Sequence[PathForecaster], windows: Windows, paths: FloatArray, levels: tuple[float, ...], age: int
) -> tuple[FloatArray, FloatArray]:
    """Quantiles around paths; the forecasters' spreads are of one kind, their bands stored at the same horizons."""
    spreads = [one.spread for one in fitted]
    units = np.array([one.unit for one in fitted])[:, None, None]
    found = around([one.bands for one in fitted], spreads[0].forth(paths), levels, widths(spreads, windows), skip=age)
    limits = np.minimum(np.finfo(np.float64).max / 2 / np.maximum(units, 1.0), LARGEST)
    return rearranged(*(np.minimum(np.maximum(spreads[0].back(q), 0.0), limits) * units for q in found))


def _bounded(fitted: Sequence[PathForecaster], windows: Windows, horizon: int) -> FloatArray:
    """Paths, finite and within reach of what the series have shown; shape (N, horizon). As of `_quantiles`."""
    with np.errstate(all="ignore"):
        paths = type(fitted[0]).paths_of(fitted, windows, horizon)
    ceilings = np.array([one.ceiling for one in fitted])
    highest = np.maximum(np.nanmax(windows.values, axis=1), ceilings)[:, None]
    paths = np.where(np.isfinite(paths), paths, windows.last[:, None])
    return np.asarray(np.minimum(np.maximum(paths, 0.0), np.maximum(highest, 0.0) * _LEEWAY))


_P = TypeVar("_P", bound=PathForecaster)


def fit_calibrated(
    estimate: Callable[[TimeSeries], _P],
    series: TimeSeries,
    *,
    horizon: int,
    folds: Sequence[float] = (0.5, 0.75),
    origins: int = 1500,
    skip: int = 0,
    plain: bool = False,
) -> _P:
    """Fits a method on the whole series and calibrates it on parts that its parameters have not seen.

    Args:
        estimate: Fits the method, without bands, to a series in units.
        series: The training data.
        horizon: Steps to calibrate for.
        folds: Shares of the series: the method is fitted up to each and its residuals taken from there to the
            next. None for a method without estimated parameters: residuals from everywhere.
        origins: Residuals are taken from about so many origins.
        skip: Without folds, no residuals from the first so many samples.
        plain: Additive bands, whatever else might serve better.
    """
    unit = unit_of(series.values)
    scaled = in_units(series, unit)
    fitted = estimate(scaled)
    n = len(scaled)
    cuts = [int(share * n) for share in folds] if folds else [min(skip, n // 2)]
    stride = max(1, (n - cuts[0]) // origins)

    def some(first: int, end: int) -> IntArray:
        return first + scattered(math.ceil((end - first) / stride), end - first)

    parts = []
    for cut, end in zip(cuts, [*cuts[1:], n], strict=True):
        try:
            part = estimate(scaled.first(cut)) if folds else fitted
        except InsufficientHistory:
            continue
        parts += _residuals(part, scaled, some(max(cut - 1, 0), end - 1), horizon)
    if not parts:  # no fold was long enough: residuals of what was fitted to them are better than none
        parts = _residuals(fitted, scaled, some(0, n - 1), horizon)
    if not parts:
        return replace(fitted, unit=unit, ceiling=_ceiling(scaled.values))
    spread, bands = calibrated(parts, plain=plain)
    return replace(fitted, unit=unit, ceiling=_ceiling(scaled.values), spread=spread, bands=bands)


def require(method: str, series: TimeSeries, need: int) -> None:
    """Refuses a series with fewer known samples than a method needs.

    Raises:
        InsufficientHistory: It has fewer.
    """
    if series.known < need:
        raise InsufficientHistory(method, have=series.known, need=need)


def _residuals(
    fitted: PathForecaster, series: TimeSeries, at: IntArray, horizon: int
) -> list[tuple[Windows, FloatArray, FloatArray]]:
    """Windows, what came, and the paths predicted from these origins, in bearable portions."""
    at = at[~np.isnan(series.values[at])]
    size = max(1, _CHUNK // (fitted.context_length + horizon))
    parts = []
    for first in range(0, len(at), size):
        some = at[first : first + size]
        windows = Windows.at(series, some, fitted.context_length)
        came = np.maximum(future(series.values, some, horizon), 0.0)
        parts.append((windows, came, _bounded((fitted,), windows, horizon)))
    return parts


def _ceiling(values: FloatArray) -> float:
    return float(np.nanmax(values, initial=0.0))
