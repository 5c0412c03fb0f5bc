"""The announced events of one trigger: expanded ahead of time for its snapshots, and kept out of its training."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from scaler.decision.events import base
from scaler.events import occurrences, shortest_gap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forecasting.series import TimeSeries
    from scaler.decision import Occurrence
    from scaler.event_settings import EventRule
    from scaler.events import Event
    from scaler.trigger import TriggerConfig

__all__ = ["Agenda", "Past", "agenda_of", "masked", "without_events"]

_EXPANDED = 3600.0  # seconds beyond what is needed, so that cron expressions are seldom looked at
_NEXT = 4  # occurrences of one event in a snapshot: the next ones are in the next snapshots
_LEFT_OUT = 2000  # past occurrences of one event that are left out of training: of a daily one, five years
_LOOKBACK = 10  # samples before an event among which a known one is looked for


class Past(Protocol):
    """The samples known so far, such as `scaler.engine.history.History`."""

    @property
    def step(self) -> int: ...  # noqa: D102  # seconds between samples
    @property
    def end(self) -> int: ...  # noqa: D102  # time of the last one
    def __len__(self) -> int: ...
    def last(self, count: int) -> TimeSeries: ...  # noqa: D102  # so many of the last ones


class Agenda:
    """When a trigger's events take place. Without events, everything here is empty and costs nothing."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._events = tuple(events)
        self._gaps = [(shortest_gap(event.cron) if event.cron else None) or inf for event in self._events]
        self._found: list[list[Occurrence]] = []
        self._since = self._until = 0.0
        self._past: set[tuple[float, float]] = set()  # (start, end)
        self._past_since = self._past_until = 0.0
        self._bases: dict[Occurrence, tuple[int, float]] = {}  # the newest sample seen, the load without the event

    @property
    def events(self) -> tuple[Event, ...]:
        """What is announced."""
        return self._events

    def ahead(self, history: Past, *, now: float, until: float) -> tuple[Occurrence, ...]:
        """The occurrences that take place between now and `until`; those under way with their base."""
        if not self._events:
            return ()
        if now < self._since or until > self._until:
            self._expand(now, until + _EXPANDED)
        near = [
            one
            for found in self._found
            for one in islice((o for o in found if o.end > now and o.start <= until), _NEXT)
        ]
        return tuple(self._with_base(one, history) if one.start <= now and one.factor > 1.0 else one for one in near)

    def windows(self, *, since: float, until: float) -> list[tuple[float, float]]:
        """(start, end) of all that take place in that span; of each event the newest 2,000."""
        if not self._events:
            return []
        if not self._past_since <= since <= self._past_until:
            self._past, self._past_since, self._past_until = set(), since, since
        if until > self._past_until:
            for event, gap in zip(self._events, self._gaps, strict=True):
                seen_from = max(self._past_until, until - _LEFT_OUT * gap)
                self._past |= {(one.start, one.end) for one in occurrences(event, since=seen_from, until=until)}
            self._past_until = until
            most = _LEFT_OUT * len(self._events)
            if len(self._past) > 2 * most:
                self._past = set(sorted(self._past)[-most:])
        return [(start, end) for start, end in self._past if end > since and start < until]

    def _expand(self, since: float, until: float) -> None:
        self._since, self._until = since, until
        self._found = [list(occurrences(event, since=since, until=until)) for event in self._events]
        known = {one for found in self._found for one in found}
        self._bases = {one: state for one, state in self._bases.items() if one in known}

    def _with_base(self, one: Occurrence, history: Past) -> Occurrence:
        state = self._bases.get(one) or _before(one, history)
        if state is None:
            return one
        seen, without = state
        if history.end > seen:
            loads = history.last((history.end - seen) // history.step).values
            without = base(loads[~np.isnan(loads)].tolist(), before=without, factor=one.factor)
            self._bases[one] = history.end, without
        return msgspec.structs.replace(one, base=without)


def _before(one: Occurrence, history: Past) -> tuple[int, float] | None:
    """The last known sample before the event, if there is one near."""
    if not len(history):
        return None
    start = int(one.start // history.step) * history.step  # the last sample that knows nothing of the event
    since = max(0, (history.end - start) // history.step)
    before = history.last(since + _LOOKBACK).until(start).values
    known = before[~np.isnan(before)]
    return (start, float(known[-1])) if len(known) else None


def agenda_of(config: TriggerConfig, rules: Iterable[EventRule] = ()) -> Agenda:
    """The trigger's own events and those that the settings have for it."""
    zone = config.time_zone
    own = (e if e.time_zone else msgspec.structs.replace(e, time_zone=zone) for e in config.events)
    of_settings = (rule.event for rule in rules if rule.covers(config.namespace_of_object, config.name))
    return Agenda((*own, *of_settings))


def without_events(series: TimeSeries, agendas: Iterable[Agenda], *, finished: bool = False) -> TimeSeries:
    """The series as models shall learn it: what is announced is not to be learned as well.

    If `masked` would leave less than half of the known samples, the series stays as it is: events that common are
    what the load is like. Arguments as there.
    """
    left = masked(series, agendas, finished=finished)
    return series if 2 * left.known < series.known else left


def masked(series: TimeSeries, agendas: Iterable[Agenda], *, finished: bool = False) -> TimeSeries:
    """The series with NaN where an event took place.

    Args:
        series: A past.
        agendas: Of the triggers that use it.
        finished: Leave events that are not over at the series' end, so that a forecast knows the newest load.
    """
    if not len(series):
        return series
    windows = {
        window
        for agenda in agendas
        for window in agenda.windows(since=series.start - series.step, until=series.end + 1.0)
        if not (finished and window[1] + series.step > series.end)
    }
    if not windows:
        return series
    values = np.array(series.values)
    times = series.times()
    for start, end in windows:
        # a sample tells of the step that ends with it
        first, after = np.searchsorted(times, start, side="right"), np.searchsorted(times, end + series.step)
        values[first:after] = np.nan
    return replace(series, values=values)
