"""An announced event, and the moments at which it takes place.

Cron expressions are read by cronsim: typed, without dependencies of its own, and right in the nights in which clocks
change. A start at 02:30 takes place once in each of these nights, as with Debian's cron: at the first moment after
the gap in spring, at the first of the two 02:30 in autumn. (croniter starts twice in autumn.)
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from scaler.decision.events import Occurrence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Event", "occurrences", "shortest_gap", "start_of"]

_LOOKED_AT = 4  # starts of a cron expression between which it is seen how far they are apart
_REFERENCE = datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))  # a leap year: the 29th of February is soon


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a user announces. Its time is either `at` or `cron`.

    Attributes:
        name: For people.
        at: The start, ISO 8601; local time of `time_zone` unless it has an offset. "" if it is a cron expression.
        cron: The starts, five fields, local time of `time_zone`; "" if it is a single moment.
        duration: Seconds from start to end; seconds that pass, whatever clocks do meanwhile.
        factor: The load is multiplied by this; 1.0: it is not.
        floor: The load is at least this; 0.0: no such bound.
        time_zone: "": that of the trigger.
    """

    name: str
    at: str = ""
    cron: str = ""
    duration: float
    factor: float = 1.0
    floor: float = 0.0
    time_zone: str = ""


def start_of(at: str, time_zone: str) -> datetime:
    """The moment that `at` means. In autumn's double hour the first one; in spring's gap as if clocks had not changed.

    Raises:
        ValueError: It is not ISO 8601.
    """
    moment = datetime.fromisoformat(at)
    return moment.replace(tzinfo=ZoneInfo(time_zone)) if moment.tzinfo is None else moment


def shortest_gap(cron: str) -> float | None:
    """Seconds between two starts, as far as a few of them show; None if there are not two.

    Raises:
        ValueError: It is not a cron expression; the text says what is wrong with it.
    """
    try:
        starts = list(islice(CronSim(cron, _REFERENCE), _LOOKED_AT))
    except (CronSimError, AssertionError) as error:  # cronsim asserts what only strange expressions break
        raise ValueError(str(error).lower() or "bad expression") from None
    return min((later.timestamp() - start.timestamp() for start, later in pairwise(starts)), default=None)


def occurrences(event: Event, *, since: float, until: float, time_zone: str = "UTC") -> Iterator[Occurrence]:
    """When the event takes place, in order: all that end after `since` and start before `until`.

    Args:
        event: Checked by `scaler.events.text.checked`.
        since: Epoch seconds.
        until: Epoch seconds.
        time_zone: For an event without one of its own.
    """
    zone = ZoneInfo(event.time_zone or time_zone)
    if event.at:
        starts: Iterable[float] = [start_of(event.at, zone.key).timestamp()]
    else:
        found = CronSim(event.cron, datetime.fromtimestamp(since - event.duration, zone))
        starts = (moment.timestamp() for moment in found)
    # the second condition also meets what cronsim gives for a beginning in autumn's second double hour
    begun = (start for start in takewhile(lambda start: start < until, starts) if start + event.duration > since)
    return (_occurrence(event, start, zone) for start in begun)


def _occurrence(event: Event, start: float, zone: ZoneInfo) -> Occurrence:
    end = start + event.duration
    return Occurrence(
        start=start,
        end=end,
        factor=event.factor,
        floor=event.floor,
        name=event.name,
        until=f"{datetime.fromtimestamp(end, zone):%Y-%m-%d %H:%M} {zone.key}",
    )
