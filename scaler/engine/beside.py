"""The series that triggers name as covariates: kept as long as one uses them, and fresh when a forecast is made.

They are fetched from the trigger's own source, with its credentials and its namespace's matchers, when the series that
they stand beside is extended, so they share its moment and mostly its request. Nothing here is observed or served.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from forecasting.series import FloatArray
    from scaler.engine.history import History
    from scaler.engine.messages import FitRequest, ForecastRequest
    from scaler.engine.refresh import Refresh
    from scaler.engine.state import SeriesState
    from scaler.trigger import TriggerConfig

__all__ = ["Beside", "beside_ids", "decoded", "encoded", "with_covariates"]


class Beside:
    """Covariates by id, each shared by all triggers that name it. Used from the engine's loop.

    Args:
        refresh: Fetches them.
        clock: Epoch seconds.
    """

    def __init__(self, *, refresh: Refresh, clock: Callable[[], float]) -> None:
        self._refresh = refresh
        self._clock = clock
        self._series: dict[str, SeriesState] = {}
        self._users: dict[str, set[str]] = {}
        self._next: dict[str, float] = {}  # after a failure: when it is asked for again, epoch seconds

    def take(
        self, config: TriggerConfig, *, capacity: int, open_series: Callable[[TriggerConfig], SeriesState]
    ) -> tuple[SeriesState, ...]:
        """The trigger's covariates, in its order.

        Args:
            config: The trigger.
            capacity: Samples to hold of each.
            open_series: Makes one that is not there yet.
        """
        out = []
        for one in _as_triggers(config):
            series = self._series.get(one.series_id)
            if series is None:
                series = self._series[one.series_id] = open_series(one)
            series.history.capacity = max(series.history.capacity, capacity)
            self._users.setdefault(series.id, set()).add(config.key.id)
            out.append(series)
        return tuple(out)

    def drop(self, trigger_id: str) -> list[SeriesState]:
        """The trigger is not in use any more; those that no other uses, for the caller to close their sources."""
        gone = []
        for series_id, users in list(self._users.items()):
            users.discard(trigger_id)
            if not users:
                del self._users[series_id]
                self._next.pop(series_id, None)
                gone.append(self._series.pop(series_id))
        return gone

    async def extend(self, series: SeriesState) -> None:
        """Fetches what is new of the covariates beside this series; one that cannot be had waits ever longer."""
        wanted = {one.id: one for trigger in series.triggers.values() for one in trigger.covariates}
        due = [one for one in wanted.values() if self._next.get(one.id, 0.0) <= self._clock()]
        await asyncio.gather(*(self._extend(one) for one in due))

    async def _extend(self, one: SeriesState) -> None:
        if not one.loaded:
            await self._refresh.recall(one)
        await self._refresh.extend(one)
        if one.past_failures:
            self._next[one.id] = self._refresh.next_step(one)
        else:
            self._next.pop(one.id, None)

    def cut(self, after: float) -> None:
        """Lets go of samples of a future that a clock set ahead has asked for."""
        for series in self._series.values():
            series.history.cut(after)
        self._next.clear()


def beside_ids(config: TriggerConfig) -> tuple[str, ...]:
    """The ids of the trigger's covariates: those that triggers of their own would have."""
    return tuple(one.series_id for one in _as_triggers(config))


def with_covariates(past: TimeSeries, histories: Sequence[History]) -> TimeSeries:
    """The samples with those of the covariates at the same moments beside them; as it is if there are none."""
    return past.beside([one.last(max(0, (one.end - past.start) // past.step + 1)) for one in histories])


def encoded(series: TimeSeries) -> tuple[bytes, list[bytes]]:
    """Values and covariates as workers are sent them."""
    values, *beside = (row.astype("<f8").tobytes() for row in (series.values, *_rows(series)))
    return values, beside


def decoded(request: FitRequest | ForecastRequest) -> TimeSeries:
    """The series that a worker was sent."""
    values, *beside = (np.frombuffer(row, dtype="<f8") for row in (request.values, *request.covariates))
    return TimeSeries(request.start, request.step, values, np.stack(beside) if beside else None)


def _rows(series: TimeSeries) -> Iterable[FloatArray]:
    return () if series.covariates is None else series.covariates


def _as_triggers(config: TriggerConfig) -> Iterable[TriggerConfig]:
    """The trigger as it would be if it were about each of its covariates."""
    return (replace(config, query=query, covariates=()) for query in config.covariates)
