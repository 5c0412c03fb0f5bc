"""Events as one text, for a trigger's metadata, and what any event must fulfil.

One event a line (or between semicolons), read like a sentence::

    black-friday: at 2026-11-27T08:00 for 16h factor 2 in Europe/Berlin
    evening-news: cron 0 20 * * 1-5 for 30m floor 500
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scaler.events.event import Event, shortest_gap, start_of
from scaler.kinds import DAY, MINUTE, Kind, Unreadable, duration, matching, number, quoted, show_duration, show_number
from scaler.time_zones import TIME_ZONE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AT", "CRON", "DURATION", "EVENTS", "FACTOR", "FLOOR", "MAX_EVENTS", "NAME", "checked"]

MAX_EVENTS = 16
"""In one trigger's metadata."""

_MAX_TEXT = 4096  # characters
_CRON_FIELDS = 5
_AT_SAYS = "a time such as 2026-11-27T08:00, or with an offset 2026-11-27T08:00+01:00"
_CRON_SAYS = "a cron expression of five fields such as 0 20 * * 1-5"
_CRON_TEXT = re.compile(r"[0-9A-Z*,/#-]{1,64}(?: [0-9A-Z*,/#-]{1,64}){4}")


def _parse_at(value: str) -> str:
    try:
        moment = start_of(value, "UTC")
    except ValueError:
        raise Unreadable(f"it must be {_AT_SAYS}") from None
    if not 2000 <= moment.year <= 9000:
        raise Unreadable("its year must be 2000 to 9000")
    return value


def _parse_cron(value: str) -> str:
    fields = " ".join(value.upper().split())
    if not _CRON_TEXT.fullmatch(fields):
        raise Unreadable(f"it must be {_CRON_SAYS}")
    try:
        shortest_gap(fields)
    except ValueError as error:
        raise Unreadable(f"it must be {_CRON_SAYS} ({error})") from None
    return fields


NAME = matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "a name of at most 63 letters, digits, '.', '_' and '-'")
AT: Kind[str] = Kind(says=_AT_SAYS, parse=_parse_at)
CRON: Kind[str] = Kind(says=_CRON_SAYS, parse=_parse_cron)
DURATION = duration(minimum=MINUTE, maximum=31 * DAY)
FACTOR = number(minimum=1.0, maximum=100.0)
FLOOR = number(minimum=0.0, maximum=1e12)

_WORDS: dict[str, tuple[str, Kind[Any], int]] = {
    "at": ("at", AT, 1),
    "cron": ("cron", CRON, _CRON_FIELDS),
    "for": ("duration", DURATION, 1),
    "factor": ("factor", FACTOR, 1),
    "floor": ("floor", FLOOR, 1),
    "in": ("time_zone", TIME_ZONE, 1),
}
"""Word -> the field of Event that it sets, how its value is read, of how many words that consists."""
_EXPECTED = "at, cron, for, factor, floor and in"


def checked(values: Mapping[str, Any]) -> Event:
    """The event, if its parts fit together.

    Args:
        values: Fields of Event; each has been read by its kind.

    Raises:
        Unreadable: They do not fit, in words that follow the event's name.
    """
    if ("at" in values) == ("cron" in values):
        raise Unreadable("give its start as either at or cron")
    if "duration" not in values:
        raise Unreadable("give its duration as for, such as for 2h")
    event = Event(**values)
    if event.factor <= 1.0 and event.floor <= 0.0:
        raise Unreadable("give a factor above 1, a floor above 0, or both: an event only raises")
    gap = shortest_gap(event.cron) if event.cron else None
    if gap is not None and event.duration > gap:
        raise Unreadable(
            f"it takes {show_duration(event.duration)}, longer than the {show_duration(gap)} between two of its starts"
        )
    return event


def _parse(value: str) -> tuple[Event, ...]:
    if len(value) > _MAX_TEXT:
        raise Unreadable(f"it has {len(value)} characters; at most {_MAX_TEXT} are accepted")
    lines = [line for line in (part.strip() for part in re.split(r"[;\n]", value)) if line]
    if len(lines) > MAX_EVENTS:
        raise Unreadable(f"it has {len(lines)} events; at most {MAX_EVENTS} are accepted")
    found: dict[str, Event] = {}
    for line in lines:
        event = _event(line)
        if event.name in found:
            raise Unreadable(f"event {event.name} is given twice", echoes=True)
        found[event.name] = event
    return tuple(found.values())


def _event(line: str) -> Event:
    name, colon, rest = line.partition(":")
    try:
        values: dict[str, Any] = {"name": NAME.parse(name.strip())}
    except Unreadable:
        colon = ""
    if not colon:
        raise Unreadable(
            f"{quoted(line)} must begin with a name and a colon, as in launch: at 2026-11-27T08:00 for 2h factor 2",
            echoes=True,
        )
    try:
        _read_words(rest.split(), values)
        return checked(values)
    except Unreadable as error:
        raise Unreadable(f"event {name.strip()}: {error.reason}", echoes=True) from None


def _read_words(words: list[str], values: dict[str, Any]) -> None:
    while words:
        word = words.pop(0)
        if word not in _WORDS:
            raise Unreadable(f"{quoted(word)} is not known; known words are {_EXPECTED}")
        field, kind, length = _WORDS[word]
        if field in values:
            raise Unreadable(f"{word} is given twice")
        text, words = " ".join(words[:length]), words[length:]
        if not text:
            raise Unreadable(f"{word} has no value; it must be {kind.says}")
        try:
            values[field] = kind.parse(text)
        except Unreadable as error:
            raise Unreadable(f"{word} is {quoted(text)}: {error.reason}") from None


def _show(events: tuple[Event, ...]) -> str:
    return "; ".join(_line(event) for event in events)


def _line(event: Event) -> str:
    parts = [f"{event.name}:", f"at {event.at}" if event.at else f"cron {event.cron}"]
    parts.append(f"for {show_duration(event.duration)}")
    parts += [f"factor {show_number(event.factor)}"] * (event.factor != 1.0)
    parts += [f"floor {show_number(event.floor)}"] * (event.floor != 0.0)
    parts += [f"in {event.time_zone}"] * bool(event.time_zone)
    return " ".join(parts)


EVENTS: Kind[tuple[Event, ...]] = Kind(
    says=f"up to {MAX_EVENTS} events, one a line, such as launch: at 2026-11-27T08:00 for 2h factor 2",
    parse=_parse,
    show=_show,
)
