"""Forecasts of several series at once: those of forecasters that share what is dear are made in one pass.

A forecast is mostly many small array operations, each of which costs nearly the same for one series and for a few.
Which series happen to be forecast together changes no forecast.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeGuard

import numpy as np

from forecasting.batch import ForecastBatch, predict_many
from forecasting.errors import ForecastError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from forecasting.forecast import Forecast
    from forecasting.forecaster import FittedForecaster
    from forecasting.series import TimeSeries

__all__ = ["MadeOfParts", "PredictsTogether", "ShowsAnother", "predict_together"]


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


class MadeOfParts(Protocol):
    """A fitted forecaster whose forecast is made of other forecasters' of the same context."""

    @property
    def parts(self) -> tuple[FittedForecaster, ...]:
        """The others."""
        ...

    @classmethod
    def wholes(cls, fitted: Sequence[Self], batches: Sequence[ForecastBatch]) -> ForecastBatch:
        """Their own forecasts, of those of their parts from the same origins; a row for each.

        Args:
            fitted: Of as many parts each.
            batches: For each place among the parts, forecasts of the part that each has there.
        """
        ...


class ShowsAnother(Protocol):
    """A fitted forecaster whose forecast is another's, of what it shows to that."""

    def shown(self, context: TimeSeries) -> tuple[FittedForecaster, TimeSeries] | None:
        """The other, and what it is shown; None where that one's forecast of it is not the whole answer."""
        ...


def predict_together(
    fitted: Sequence[FittedForecaster], contexts: Sequence[TimeSeries], *, horizon: int, levels: Sequence[float]
) -> list[Forecast | ForecastError]:
    """What `predict` gives each forecaster of its context, or raises.

    Args:
        fitted: Any forecasters; those made of parts, or of a class that predicts together, need the less time, and so
            do those that only show another what there is.
        contexts: The recent past of each.
        horizon: Steps to forecast.
        levels: Quantile levels.
    """
    asked = [
        (_shows_another(one) and one.shown(seen)) or (one, seen) for one, seen in zip(fitted, contexts, strict=True)
    ]
    fitted, contexts = [one for one, _ in asked], [seen for _, seen in asked]
    parts = [one.parts if _is_made_of_parts(one) else (one,) for one in fitted]
    found = _in_groups(parts, contexts, horizon=horizon, levels=levels)
    out: dict[int, Forecast | ForecastError | None] = {}
    kinds: dict[tuple[Any, int], list[int]] = {}
    for row, one in enumerate(fitted):
        if _is_made_of_parts(one):
            try:
                for place, part in enumerate(parts[row]):
                    if (row, place) not in found:
                        found[row, place] = _alone(part, contexts[row], horizon=horizon, levels=levels)
            except ForecastError as error:
                out[row] = error
                continue
        if (row, 0) in found:
            kinds.setdefault((type(one), len(parts[row])), []).append(row)
    for (kind, count), rows in kinds.items():
        batches = [ForecastBatch.joined([found[row, place] for row in rows]) for place in range(count)]
        made = _is_made_of_parts(fitted[rows[0]])
        whole = kind.wholes([fitted[row] for row in rows], batches) if made else batches[0]
        out |= zip(rows, whole.forecasts(), strict=True)
    return [
        _said(one, context, horizon=horizon, levels=levels) if (known := out.get(row)) is None else known
        for row, (one, context) in enumerate(zip(fitted, contexts, strict=True))
    ]


def _said(
    one: FittedForecaster, context: TimeSeries, *, horizon: int, levels: Sequence[float]
) -> Forecast | ForecastError:
    """What it says for itself: it was not asked with others, or says why it knows nothing."""
    try:
        return one.predict(context, horizon=horizon, levels=levels)
    except ForecastError as error:
        return error


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
            if _predicts_together(part):
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


def _is_made_of_parts(one: object) -> TypeGuard[MadeOfParts]:
    return _offers(one, ("parts", "wholes"))


def _shows_another(one: object) -> TypeGuard[ShowsAnother]:
    return _offers(one, ("shown",))


def _predicts_together(one: object) -> TypeGuard[PredictsTogether]:
    return _offers(one, ("shared", "predict_all"))


def _offers(one: object, names: tuple[str, ...]) -> bool:
    """Whether its class has these: `isinstance` looks for all of a protocol's in each object anew."""
    return _has(type(one), names)  # type: ignore[arg-type]  # classes hash


@lru_cache(maxsize=256)
def _has(kind: type, names: tuple[str, ...]) -> bool:
    return all(hasattr(kind, name) for name in names)
