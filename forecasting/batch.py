"""Forecasts from many origins at once: backtests and calibration need thousands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from forecasting.errors import InsufficientHistory, InvalidSeries
from forecasting.forecast import Forecast, checked_levels

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from forecasting.forecaster import FittedForecaster
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = [
    "ForecastBatch",
    "PredictsMany",
    "predict_last",
    "predict_many",
    "require_alike",
    "require_horizon",
    "require_step",
    "vectorised",
]


@dataclass(frozen=True, slots=True, eq=False)
class ForecastBatch:
    """What `Forecast` is, for N origins.

    Attributes:
        origins: Epoch seconds; shape (N,).
        step: Seconds between horizons.
        levels: Quantile levels, L of them.
        values: Quantiles of the values; shape (N, L, H). All NaN for an origin that cannot be forecast from
            (InsufficientHistory).
        peak: Quantiles of the running maximum; shape (N, L, H), NaN likewise.
    """

    origins: IntArray
    step: int
    levels: tuple[float, ...]
    values: FloatArray
    peak: FloatArray

    def __len__(self) -> int:
        return int(self.origins.shape[0])

    @property
    def horizon(self) -> int:
        """Number of steps forecast."""
        return int(self.values.shape[2])

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which origins could be forecast from; boolean, shape (N,)."""
        return ~np.isnan(self.values[:, 0, 0])

    def row(self, row: int) -> ForecastBatch:
        """One of the origins, as a batch of its own."""
        some = slice(row, row + 1)
        return ForecastBatch(self.origins[some], self.step, self.levels, self.values[some], self.peak[some])

    @classmethod
    def joined(cls, batches: Sequence[ForecastBatch]) -> ForecastBatch:
        """The origins of several batches of one step, the same levels and horizon."""
        origins, values, peak = (
            np.concatenate([getattr(one, name) for one in batches]) for name in ("origins", "values", "peak")
        )
        return replace(batches[0], origins=origins, values=values, peak=peak)

    @classmethod
    def at_ends(
        cls, contexts: Sequence[TimeSeries], levels: tuple[float, ...], values: FloatArray, peak: FloatArray
    ) -> ForecastBatch:
        """Forecasts from the ends of contexts of one step, a row for each."""
        origins = np.array([context.end for context in contexts], dtype=np.int64)
        return cls(origins, contexts[0].step, levels, values, peak)

    def forecasts(self) -> list[Forecast | None]:
        """The forecast of each origin, checked together; None: it is unknown, or `forecast` tells what is wrong."""
        return Forecast.of_each(self.origins.tolist(), self.step, self.levels, self.values, self.peak)

    def forecast(self, row: int) -> Forecast:
        """The forecast of one origin, checked."""
        return Forecast(int(self.origins[row]), self.step, self.levels, self.values[row], self.peak[row])


@runtime_checkable
class PredictsMany(Protocol):
    """A fitted forecaster that offers a vectorised path; `predict` must give the same numbers."""

    def predict_many(
        self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts from each of these positions, using samples up to it and nothing later."""
        ...


def predict_many(
    fitted: FittedForecaster,
    series: TimeSeries,
    origins: IntArray,
    *,
    horizon: int,
    levels: Sequence[float],
) -> ForecastBatch:
    """Forecasts from many origins, vectorised where the forecaster can, one by one where it cannot.

    Args:
        fitted: Any fitted forecaster.
        series: Holds the origins and their past.
        origins: Positions in the series: the forecast uses samples up to and including each; shape (N,).
        horizon: Steps ahead.
        levels: Quantile levels.
    """
    if isinstance(fitted, PredictsMany):
        return fitted.predict_many(series, origins, horizon=horizon, levels=levels)
    levels = checked_levels(levels)
    values = np.full((len(origins), len(levels), horizon), np.nan)
    peak = values.copy()
    for row, origin in enumerate(origins):
        seen = series.first(int(origin) + 1).last(fitted.context_length)
        try:
            forecast = fitted.predict(seen, horizon=horizon, levels=levels)
        except InsufficientHistory:
            continue
        values[row], peak[row] = forecast.values, forecast.peak
    times = series.start + series.step * np.asarray(origins, dtype=np.int64)
    return ForecastBatch(times, series.step, levels, values, peak)


def vectorised(fitted: FittedForecaster) -> bool:
    """Whether many forecasts at once cost little more than one; what wraps another tells by `one_by_one`."""
    return isinstance(fitted, PredictsMany) and not getattr(fitted, "one_by_one", False)


def predict_last(
    fitted: PredictsMany, context: TimeSeries, *, horizon: int, levels: Sequence[float], purpose: str
) -> Forecast:
    """`predict` of a forecaster whose one way is `predict_many`: from the context's last sample.

    Args:
        fitted: The forecaster.
        context: The recent series, no more of it than the forecaster looks at.
        horizon: Steps ahead.
        levels: Quantile levels.
        purpose: What there is too little history for, if there is: "a forecast".

    Raises:
        InsufficientHistory: The context does not hold what a forecast needs.
    """
    batch = fitted.predict_many(context, np.array([len(context) - 1]), horizon=horizon, levels=levels)
    if not batch.known[0]:
        raise InsufficientHistory(purpose, have=0, need=1)
    return batch.forecast(0)


def require_step(context: TimeSeries, step: int) -> None:
    """A model knows one step.

    Raises:
        InvalidSeries: The context has another one.
    """
    if context.step != step:
        raise InvalidSeries(
            f"the context's step is {context.step} s, but the forecaster was fitted on a step of {step} s"
        )


def require_horizon(horizon: int) -> None:
    """A forecast reaches a step ahead at least.

    Raises:
        InvalidSeries: It does not.
    """
    if horizon < 1:
        raise InvalidSeries(f"horizon must be 1 step or more, not {horizon}")


class Shares(Protocol):
    """A fitted forecaster that others may share a pass with; see `forecasting.together.PredictsTogether`."""

    @property
    def step(self) -> int:
        """Seconds between samples, of the series fitted."""
        ...

    @property
    def shared(self) -> Hashable:
        """What forecasters of the class must have in common for that."""
        ...


def require_alike(fitted: Sequence[Shares], contexts: Sequence[TimeSeries], *, by: str) -> None:
    """Forecasters of one pass share what is dear, and each knows the step of its context.

    Args:
        fitted: The forecasters.
        contexts: One for each.
        by: What they must share besides step and horizon, in words.

    Raises:
        InvalidSeries: They do not share it, or a context has another step.
    """
    if len({one.shared for one in fitted}) > 1:
        raise InvalidSeries(f"forecasters of one batch must be fitted on one step, {by}, for one horizon")
    for one, context in zip(fitted, contexts, strict=True):
        require_step(context, one.step)
