"""Keeping one series fresh: its newest value, its past, its next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecasting.series import TimeSeries
from scaler.engine.timetable import spread
from scaler.engine.together import Together
from scaler.errors import ForesailError, SourceError
from scaler.tenancy.promql import enforce

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.engine.meter import Meter
    from scaler.engine.persistence import Persistence
    from scaler.engine.state import SeriesState
    from scaler.sources.base import Sample

__all__ = ["Refresh"]

_SETTLE = 1 / 30  # of the step, at most _LONGEST_SETTLE, after its end: the last scrapes must have landed
_LONGEST_SETTLE = 2.0  # seconds
_SPREAD = 0.2  # of the step, at most _LONGEST_SPREAD: the series of a fleet are not asked for all at once
_LONGEST_SPREAD = 12.0
_SLOT = 0.5  # seconds: series that are due within one are due at once, so that they can be asked for together
_LONGEST_RETRY = 300.0  # seconds between two attempts at a past that the source does not give


class Refresh:
    """Asks sources, bounded in number at once; what they answer goes into the series and to the store."""

    def __init__(
        self,
        *,
        persistence: Persistence,
        observe_interval: float,
        concurrency: int,
        clock: Callable[[], float],
        meter: Meter,
    ) -> None:
        """Args:
        persistence: Where new samples go and old ones come from.
        observe_interval: Seconds between two looks at the newest value.
        concurrency: Requests to one source at once: one that hangs does not hold up the others.
        clock: Epoch seconds.
        meter: Told of every request.
        """
        self._persistence = persistence
        self._interval = observe_interval
        self._together = Together(concurrency=concurrency)
        self._clock = clock
        self._meter = meter

    async def observe(self, series: SeriesState) -> bool:
        """The newest value, as plain KEDA would see it; on failure the last one stays, and grows older.

        Returns:
            Whether the source answers again after it failed: its past is worth asking for at once.
        """
        try:
            sample = await self._together.instant(series, series.query)
        except ForesailError as error:
            series.error = self._failed("instant", series, error)
            return False
        self._meter.source_asked("instant", None, series=series.id)
        healed = bool(series.error and series.past_error)
        series.observed, series.observed_at = sample.value, sample.time
        series.error, series.warning = "", sample.warning
        return healed

    async def ask(self, series: SeriesState, query: str) -> Sample:
        """Another query to the source of the series. Raises what the source does."""
        try:
            sample = await self._together.instant(series, enforce(query, series.matchers))
        except ForesailError as error:
            self._meter.source_asked("instant", error, series=series.id)
            raise
        self._meter.source_asked("instant", None, series=series.id)
        return sample

    async def recall(self, series: SeriesState) -> None:
        """The past that the store has kept."""
        since = int(self._clock()) - series.history.capacity * series.step
        stored = await self._persistence.history(series.id, step=series.step, since=since)
        if stored is not None:
            series.history.extend(stored)
        series.loaded = True

    async def extend(self, series: SeriesState) -> bool:
        """The complete steps since the last known one, and what the history may lack at its beginning.

        Returns:
            Whether there were any.
        """
        step, history = series.step, series.history
        end = int(self._clock()) // step * step
        oldest = end - (history.capacity - 1) * step
        if not len(history):
            spans = [(oldest, end)]
        else:
            spans = [(max(oldest, history.end + step), end)]
            if self._lacks_front(series, oldest):
                spans.append((oldest, history.start - step))
        return any([await self._fetch(series, start, end) for start, end in spans if start <= end])

    async def _fetch(self, series: SeriesState, start: int, end: int) -> bool:
        """What the source knows of that span; whether that is anything."""
        try:
            new = await self._together.range(series, start=start, end=end)
        except ForesailError as error:
            series.past_error = self._failed("range", series, error)
            series.past_failures += 1
            return False
        self._meter.source_asked("range", None, series=series.id)
        series.past_error, series.past_failures = "", 0
        series.asked_from = start if series.asked_from is None else min(start, series.asked_from)
        new = _known_part(new)
        if not len(new):
            return False
        series.history.merge(new)
        self._persistence.add_samples(series.id, new)
        return True

    @staticmethod
    def _lacks_front(series: SeriesState, oldest: int) -> bool:
        """Whether the source may know what lies before the history: it is asked once, and again for a wider window."""
        asked = series.asked_from is not None and series.asked_from <= oldest
        return series.history.start > oldest and not asked

    def next_observe(self, series: SeriesState) -> float:
        """When to look at the newest value again: a fixed phase of its own for each series."""
        return _next_phase(self._clock(), every=self._interval, phase=_share(series.id, self._interval))

    def next_step(self, series: SeriesState) -> float:
        """When the next step is complete and has settled. While the past cannot be had: soon, then ever later."""
        now = self._clock()
        if series.past_failures:
            # by chance of its own for each series, so that a fleet does not ask a struggling source as one
            wait = min(_LONGEST_RETRY, self._interval * 2.0 ** min(series.past_failures - 1, 16))
            return now + wait * (1.0 + spread(series.id) / 4)
        settle = min(_SETTLE * series.step, _LONGEST_SETTLE)
        phase = settle + _share(series.id, min(_SPREAD * series.step, _LONGEST_SPREAD))
        return _next_phase(now, every=series.step, phase=phase)

    def _failed(self, request: str, series: SeriesState, error: ForesailError) -> str:
        """Tells the meter; the failure in words."""
        self._meter.source_asked(request, error, series=series.id)
        return str(error) if isinstance(error, SourceError) else f"the source cannot be used: {error}"


def _share(series_id: str, span: float) -> float:
    """The series' own fixed part of a span of seconds, in whole slots."""
    phase = spread(series_id) * span
    return phase - phase % _SLOT


def _next_phase(now: float, *, every: float, phase: float) -> float:
    """The next moment after now that is `phase` seconds past a multiple of `every`."""
    return ((now - phase) // every + 1) * every + phase


def _known_part(series: TimeSeries) -> TimeSeries:
    """Without the missing samples at the end: they may still come, so they are asked for again."""
    known = len(series)
    while known and series.values[known - 1] != series.values[known - 1]:
        known -= 1
    return TimeSeries(series.start, series.step, series.values[:known])
