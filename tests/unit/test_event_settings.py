"""`[[events]]` of the settings: read, refused in words, and found again by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaler.engine.configuration import dumps, loads
from scaler.errors import InvalidSettings
from scaler.event_settings import EventRule
from scaler.events import Event
from scaler.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
[[events]]
name = "black-friday"
at = 2026-11-27T08:00:00
for = "16h"
factor = 2
time_zone = "Europe/Berlin"
namespaces = ["shop", "shop-eu"]

[[events]]
name = "news"
cron = "0 20 * * 1-5"
for = 1800
floor = 500.5
scaled_objects = ["media/front"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "foresail.toml"


def load(path: Path, content: str) -> Settings:
    path.write_text(content)
    return load_settings(path=path, environ={}, overrides={})


def problems(path: Path, content: str) -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as caught:
        load(path, content)
    return caught.value.problems


def test_tables_become_rules_that_the_engine_gets(path: Path) -> None:
    settings = load(path, GOOD.replace("for = 1800", 'for = "30m"'))
    assert settings.events == (
        EventRule(
            event=Event(
                name="black-friday", at="2026-11-27T08:00:00", duration=57600.0, factor=2.0, time_zone="Europe/Berlin"
            ),
            namespaces=("shop", "shop-eu"),
        ),
        EventRule(
            event=Event(name="news", cron="0 20 * * 1-5", duration=1800.0, floor=500.5, time_zone="UTC"),
            scaled_objects=("media/front",),
        ),
    )
    assert loads(dumps(settings)) == settings


@pytest.mark.parametrize(
    ("at", "read"),
    [
        ("2026-11-27", "2026-11-27"),
        ("2026-11-27T08:00:00+01:00", "2026-11-27T08:00:00+01:00"),
        ('"2026-11-27T08:00"', "2026-11-27T08:00"),
    ],
)
def test_tomls_own_times_are_understood(path: Path, at: str, read: str) -> None:
    settings = load(path, f'[[events]]\nname = "x"\nat = {at}\nfor = "1h"\nfloor = 1\nnamespaces = "shop"')
    assert settings.events[0].event.at == read
    assert settings.events[0].namespaces == ("shop",)


def test_whom_an_event_concerns() -> None:
    event = Event(name="x", at="2026-11-27", duration=60.0, floor=1.0)
    assert EventRule(event=event).covers("any", "thing")
    of_namespace = EventRule(event=event, namespaces=("shop",))
    assert of_namespace.covers("shop", "web")
    assert not of_namespace.covers("media", "web")
    of_object = EventRule(event=event, scaled_objects=("shop/web",))
    assert of_object.covers("shop", "web")
    assert not of_object.covers("shop", "api")
    assert not EventRule(event=event, namespaces=("media",), scaled_objects=("shop/web",)).covers("shop", "web")


NAMESPACES = 'it must be a list of namespaces such as ["shop"]'
OBJECTS = 'it must be a list of ScaledObjects such as ["shop/checkout"]'
AT = "it must be a time such as 2026-11-27T08:00, or with an offset 2026-11-27T08:00+01:00"
EVENT = '[[events]]\nname = "x"\nat = 2026-11-27\nfor = "1h"\nfloor = 1\n'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('events = "all"', ["events must be tables, each begun by a line [[events]]"]),
        ("events = [1]", ["events[1] must be a table, begun by a line [[events]]"]),
        (EVENT * 257, ["events are 257; at most 256 are accepted"]),
        (
            EVENT + '[[events]]\nnam = "x"\nfor = "1h"',
            [
                '"events[2].nam" is not a known name; did you mean events[2].name?',
                "events[2].name is missing; it must be a name of at most 63 letters, digits, '.', '_' and '-'",
            ],
        ),
        (
            EVENT.replace("at = 2026-11-27", "at = 08:00:00"),
            [f"events[1].at is 08:00:00: {AT}"],
        ),
        (
            EVENT.replace("floor", "cron = '0 9 * * *'\nfloor"),
            ["events[1] (x): give its start as either at or cron"],
        ),
        (
            EVENT + 'namespaces = ["Shop"]',
            [f"events[1].namespaces is ['Shop']: \"Shop\" is not such as shop; {NAMESPACES}"],
        ),
        (
            EVENT + "namespaces = []",
            [f"events[1].namespaces is []: {NAMESPACES}"],
        ),
        (
            EVENT + 'scaled_objects = ["shop"]',
            [f"events[1].scaled_objects is ['shop']: \"shop\" is not such as shop/checkout; {OBJECTS}"],
        ),
    ],
)
def test_refusals(path: Path, content: str, told: list[str]) -> None:
    assert list(problems(path, content)) == told
