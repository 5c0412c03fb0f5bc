"""What announced events ask for, within the window of one decision.

An event raises the load by a factor, or to a floor, or both; it never lowers anything. Where several take place,
each is asked alone and the highest answer counts: factors are not multiplied with each other.

A factor counts once. Before the event starts, neither the observed load nor the forecast knows of it, and both are
multiplied in full. Once it has started, they come to hold its effect themselves. Then `Occurrence.base`, the load
without the event, is what is multiplied, and the answer stays between the load and its full multiple.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Asked", "Occurrence", "ask", "base"]


class Occurrence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event taking place once; expanded ahead of time, so that a decision only compares.

    Attributes:
        start: Epoch seconds.
        end: Epoch seconds; the event is over at this very moment.
        factor: At least 1.0, which multiplies nothing.
        floor: At least this load; 0.0 is none.
        name: Of the event.
        until: Its end, in words.
        base: The load as it would be now without the event; None before its start, and where it is not known.
    """

    start: float
    end: float
    factor: float
    floor: float
    name: str
    until: str
    base: float | None = None


class Asked(msgspec.Struct, frozen=True):
    """What the events within a window ask for.

    Attributes:
        value: At least this load; 0.0 if there is none.
        floor: The part of it that is a floor in a user's own words.
        event: The one that asks for `value`; None if there is none.
    """

    value: float = 0.0
    floor: float = 0.0
    event: Occurrence | None = None


def ask(events: Iterable[Occurrence], *, now: float, window: float, load: float) -> Asked:
    """What the events ask for that take place at any moment of [now, now + window].

    Args:
        events: In any order; those outside the window count nothing.
        now: Epoch seconds.
        window: Seconds.
        load: What would have to be carried without them, at least 0: the observed load, or its forecast.
    """
    value, floor, of = 0.0, 0.0, None
    for event in events:
        if event.start > now + window or event.end <= now:
            continue
        asked = max(event.floor, _multiplied(event, now, load))
        floor = max(floor, event.floor)
        if asked > value:
            value, of = asked, event
    return Asked(value, floor, of)


def _multiplied(event: Occurrence, now: float, load: float) -> float:
    """What the factor asks for."""
    if event.factor <= 1.0:
        return 0.0
    full = event.factor * load
    if event.base is None or now < event.start:
        return full
    return min(full, max(load, event.factor * event.base))


def base(loads: Sequence[float], *, before: float, factor: float) -> float:
    """The load as it would be without an event, from what was observed since its start.

    How much of a load is the event's effect nobody knows, only that it lies between none and all of the factor. So
    the load without it lies between load / factor and load, and is taken to have changed as little as that allows:
    the play operator of hysteresis (Krasnosel'skii and Pokrovskii, Systems with Hysteresis, 1989).

    Args:
        loads: Known loads since the start, in order; none NaN.
        before: The load without the event before them.
        factor: Of the event, at least 1.
    """
    without = before
    for load in loads:
        without = min(max(without, load / factor), load)
    return without
