"""Events that many triggers share: the tables `[[events]]` of the settings file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from scaler.events.event import Event
from scaler.events.text import AT, CRON, DURATION, FACTOR, FLOOR, NAME, checked
from scaler.kinds import Kind, Unreadable, quoted
from scaler.parameters import Schema, parameter
from scaler.time_zones import TIME_ZONE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EVENT_SCHEMA", "EventRule", "read_events"]

MAX_EVENTS = 256
"""In the settings file."""

_MAX_NAMES = 256  # namespaces or ScaledObjects of one event
_OBJECT = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"


class EventRule(msgspec.Struct, frozen=True, kw_only=True):
    """An event, and whose it is.

    Attributes:
        event: What is announced.
        namespaces: Of the ScaledObjects that it concerns; empty: any.
        scaled_objects: `NAMESPACE/NAME` of those that it concerns; empty: any.
    """

    event: Event
    namespaces: tuple[str, ...] = ()
    scaled_objects: tuple[str, ...] = ()

    def covers(self, namespace: str, name: str) -> bool:
        """Whether the event concerns the ScaledObject; both lists must have it, if they are given."""
        return (not self.namespaces or namespace in self.namespaces) and (
            not self.scaled_objects or f"{namespace}/{name}" in self.scaled_objects
        )


def _at_of(value: object) -> str:
    """TOML has times of its own."""
    if isinstance(value, datetime | date):
        return AT.parse(value.isoformat())
    raise Unreadable(f"it must be {AT.says}")


def _names(pattern: str, says: str, example: str) -> Kind[tuple[str, ...]]:
    """A list of names."""

    def of(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not 0 < len(value) <= _MAX_NAMES:
            raise Unreadable(f"it must be {says}")
        for item in value:
            if not isinstance(item, str) or not re.fullmatch(pattern, item):
                raise Unreadable(f"{quoted(str(item))} is not such as {example}; it must be {says}", echoes=True)
        return tuple(dict.fromkeys(value))

    def parse(value: str) -> tuple[str, ...]:
        return of([value])

    return Kind(says=says, parse=parse, show=",".join, of=of)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EventTable:
    """The keys of one table."""

    name: str = parameter("name", NAME, doc="For people: it stands in the reasons of decisions.")
    at: str = parameter(
        "at",
        Kind(says=AT.says, parse=AT.parse, of=_at_of),
        default="",
        doc="The start of an event that takes place once: local time of `time_zone`, unless it has an offset. Either "
        "this or `cron`.",
    )
    cron: str = parameter(
        "cron",
        CRON,
        default="",
        doc="The starts of one that takes place again and again, local time of `time_zone`. In the nights in which "
        "clocks change, a start takes place once.",
    )
    duration: float = parameter("for", DURATION, doc="How long it takes.")
    factor: float = parameter(
        "factor", FACTOR, default=1.0, doc="The load counts as this multiple of itself. A factor, a `floor`, or both."
    )
    floor: float = parameter("floor", FLOOR, default=0.0, doc="The load counts as at least this.")
    time_zone: str = parameter("time_zone", TIME_ZONE, default="UTC", doc="Of `at` and `cron`.")
    namespaces: tuple[str, ...] = parameter(
        "namespaces",
        _names(_OBJECT, 'a list of namespaces such as ["shop"]', "shop"),
        default=(),
        doc="Whose ScaledObjects it concerns; not given: those of all.",
    )
    scaled_objects: tuple[str, ...] = parameter(
        "scaled_objects",
        _names(f"{_OBJECT}/{_OBJECT}", 'a list of ScaledObjects such as ["shop/checkout"]', "shop/checkout"),
        default=(),
        doc="Which ScaledObjects it concerns, `NAMESPACE/NAME`; not given: all.",
    )


EVENT_SCHEMA = Schema(_EventTable, see="docs/reference/settings.md")


def read_events(tables: object, *, problems: list[str]) -> tuple[EventRule, ...]:
    """Reads the tables; what is wrong with them is added to `problems`."""
    if not isinstance(tables, list):
        problems.append("events must be tables, each begun by a line [[events]]")
        return ()
    if len(tables) > MAX_EVENTS:
        problems.append(f"events are {len(tables)}; at most {MAX_EVENTS} are accepted")
        return ()
    found = [_rule(number, table, problems) for number, table in enumerate(tables, 1)]
    return tuple(rule for rule in found if rule is not None)


def _rule(number: int, table: object, problems: list[str]) -> EventRule | None:
    """One event, or None if its table has problems."""
    if not isinstance(table, dict):
        problems.append(f"events[{number}] must be a table, begun by a line [[events]]")
        return None
    named: Mapping[str, object] = table
    where = f"events[{number}]"
    reading = EVENT_SCHEMA.read(named, label=lambda key: f"{where}.{key}")
    problems += reading.problems
    if reading.problems:
        return None
    values: dict[str, Any] = dict(reading.values)
    whose = {key: values.pop(key) for key in ("namespaces", "scaled_objects") if key in values}
    try:
        event = checked({"time_zone": "UTC", **values})
    except Unreadable as error:
        problems.append(f"{where} ({values['name']}): {error.reason}")
        return None
    return EventRule(event=event, **whose)
