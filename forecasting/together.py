"""Forecasts of several series at once: those of forecasters that share what is dear are made in one pass.

A forecast is mostly many small array operations, each of which costs nearly the same for one series and for a few.
Which series happen to be forecast together changes no forecast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np

from forecasting.batch import predict_many
from forecasting.errors import ForecastError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from forecasting.batch import ForecastBatch
    from forecasting.forecast import Forecast
    from forecasting.forecaster import FittedForecaster
    from forecasting.series import TimeSeries

__all__ = ["MadeOfParts", "PredictsTogether", "predict_together"]


@runtime_checkable
class PredictsTogether(Protocol):
    """A fitted forecaster that can be asked in one pass with others of its class."""

    @property
    def shared(self) -> Hashable:
        """What forecasters of the class must have in common for that."""
        ...

    @classmethod
    def predict_all(
        cls, fitted: Sequence[Self], contexts: Sequence[TimeSeries], *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """What `predict` gives each of its context; a row for each, NaN where that is InsufficientHistory."""
        ...


@runtime_checkable
class MadeOfParts(Protocol):
    """A fitted forecaster whose forecast is made of other forecasters' of the same context."""

    @property
    def parts(self) -> tuple[FittedForecaster, ...]:
        """The others."""
        ...

    def whole(self, batches: Sequence[ForecastBatch]) -> ForecastBatch:
        """Its own forecasts, of theirs from the same origins."""
        ...


def predict_together(
    fitted: Sequence[FittedForecaster], contexts: Sequence[TimeSeries], *, horizon: int, levels: Sequence[float]
) -> list[Forecast | ForecastError]:
    """What `predict` gives each forecaster of its context, or raises.

    Args:
        fitted: Any forecasters; those made of parts, or of a class that predicts together, need the less time.
        contexts: The recent past of each.
        horizon: Steps to forecast.
        levels: Quantile levels.
    """
    parts = [one.parts if isinstance(one, MadeOfParts) else (one,) for one in fitted]
    batches = _in_groups(parts, contexts, horizon=horizon, levels=levels)
    out: list[Forecast | ForecastError] = []
    for row, (one, context) in enumerate(zip(fitted, contexts, strict=True)):
        known = [batches.get((row, place)) for place in range(len(parts[row]))]
        try:
            out.append(_made(one, parts[row], known, context, horizon=horizon, levels=levels))
        except ForecastError as error:
            out.append(error)
    return out


def _made(
    one: FittedForecaster,
    parts: Sequence[FittedForecaster],
    known: Sequence[ForecastBatch | None],
    context: TimeSeries,
    *,
    horizon: int,
    levels: Sequence[float],
) -> Forecast:
    """The forecast, of those of its parts that are known already and of the others."""
    batch = None
    if isinstance(one, MadeOfParts):
        batch = one.whole([
            _alone(part, context, horizon=horizon, levels=levels) if found is None else found
            for part, found in zip(parts, known, strict=True)
        ])  # fmt: skip
    elif known[0] is not None:
        batch = known[0]
    if batch is not None and batch.known[0]:
        return batch.forecast(0)
    return one.predict(context, horizon=horizon, levels=levels)  # or the error in its own words


def _alone(part: FittedForecaster, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> ForecastBatch:
    return predict_many(part, context, np.array([len(context) - 1]), horizon=horizon, levels=levels)


def _in_groups(
    parts: Sequence[Sequence[FittedForecaster]],
    contexts: Sequence[TimeSeries],
    *,
    horizon: int,
    levels: Sequence[float],
) -> dict[tuple[int, int], ForecastBatch]:
    """Forecasts of those that can be asked with another, by forecaster and part."""
    groups: dict[tuple[Any, Hashable], list[tuple[int, int]]] = {}
    for row, some in enumerate(parts):
        for place, part in enumerate(some):
            if isinstance(part, PredictsTogether):
                groups.setdefault((type(part), part.shared), []).append((row, place))
    out: dict[tuple[int, int], ForecastBatch] = {}
    for (kind, _), places in groups.items():
        if len(places) > 1:
            try:
                batch = kind.predict_all(
                    [parts[row][place] for row, place in places],
                    [contexts[row].last(parts[row][place].context_length) for row, place in places],
                    horizon=horizon,
                    levels=levels,
                )
            except ForecastError:
                continue  # asked one by one, each has an error of its own
            out |= {place: batch.row(i) for i, place in enumerate(places)}
    return out
