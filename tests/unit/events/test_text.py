"""Events as a text: what is understood, and every refusal word for word."""

from __future__ import annotations

import pytest

from scaler.errors import InvalidTrigger
from scaler.events import EVENTS, Event
from scaler.kinds import Unreadable
from scaler.trigger import TriggerConfig, parse_trigger


def refusal(text: str) -> str:
    with pytest.raises(Unreadable) as caught:
        EVENTS.parse(text)
    return caught.value.reason


def test_one_event_a_line_or_between_semicolons() -> None:
    lines = (
        "black-friday: at 2026-11-27T08:00 for 16h factor 2 in Europe/Berlin\n\n news :cron 0 20 * * mon-fri for 30m"
    )
    expected = (
        Event(name="black-friday", at="2026-11-27T08:00", duration=57600.0, factor=2.0, time_zone="Europe/Berlin"),
        Event(name="news", cron="0 20 * * MON-FRI", duration=1800.0, factor=1.5, floor=500.0),
    )
    assert EVENTS.parse(lines + " floor 500 factor 1.5\n") == expected
    assert EVENTS.parse(lines.replace("\n\n", ";") + " factor 1.5 floor 500;") == expected
    assert EVENTS.show(expected) == (
        "black-friday: at 2026-11-27T08:00 for 16h factor 2 in Europe/Berlin; "
        "news: cron 0 20 * * MON-FRI for 30m factor 1.5 floor 500"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "at 2026-11-27 for 2h factor 2",
            (
                '"at 2026-11-27 for 2h factor 2" must begin with a name and a colon, as in '
                "launch: at 2026-11-27T08:00 for 2h factor 2"
            ),
        ),
        (
            "my launch: for 2h",
            '"my launch: for 2h" must begin with a name and a colon, as in launch: at 2026-11-27T08:00 for 2h factor 2',
        ),
        ("x: for 2h factor 2", "event x: give its start as either at or cron"),
        ("x: at 2026-11-27 cron 0 9 * * * for 2h factor 2", "event x: give its start as either at or cron"),
        ("x: at 2026-11-27 factor 2", "event x: give its duration as for, such as for 2h"),
        (
            "x: at 2026-11-27 for 2h",
            "event x: give a factor above 1, a floor above 0, or both: an event only raises",
        ),
        (
            "x: at 2026-11-27 for 2h factor 1 floor 0",
            "event x: give a factor above 1, a floor above 0, or both: an event only raises",
        ),
        (
            "x: at 2026-11-27 for 2h factor 0.5",
            'event x: factor is "0.5": it must be a number from 1 to 100',
        ),
        ("x: at 2026-11-27 for 2h floor -1", 'event x: floor is "-1": it must be a number from 0 to 1000000000000'),
        (
            "x: at 2026-11-27 for 2 factor 2",
            'event x: for is "2": it has no unit; it must be a duration from 1m to 31d, such as 90s, 5m, 1h30m or 7d',
        ),
        (
            "x: at tomorrow for 2h factor 2",
            (
                'event x: at is "tomorrow": it must be a time such as 2026-11-27T08:00, or with an offset '
                "2026-11-27T08:00+01:00"
            ),
        ),
        ("x: at 0001-01-01 for 2h factor 2", 'event x: at is "0001-01-01": its year must be 2000 to 9000'),
        (
            "x: cron 0 9 * * for 2h factor 2",
            (
                'event x: cron is "0 9 * * for": it must be a cron expression of five fields such as 0 20 * * 1-5 '
                "(bad day-of-week)"
            ),
        ),
        (
            "x: cron @daily for 2h factor 2 in UTC",
            (
                'event x: cron is "@daily for 2h factor 2": it must be a cron expression of five fields such as '
                "0 20 * * 1-5"
            ),
        ),
        (
            "x: cron 0 24 * * * for 2h factor 2",
            (
                'event x: cron is "0 24 * * *": it must be a cron expression of five fields such as 0 20 * * 1-5 '
                "(bad hour)"
            ),
        ),
        (
            "x: cron */5 * * * * for 30m factor 2",
            "event x: it takes 30m, longer than the 5m between two of its starts",
        ),
        (
            "x: at 2026-11-27 for 2h factor 2 in Berlin",
            'event x: in is "Berlin": it must be a time zone such as UTC or Europe/Berlin; did you mean Europe/Berlin?',
        ),
        ("x: at 2026-11-27 for 2h factor", "event x: factor has no value; it must be a number from 1 to 100"),
        ("x: at 2026-11-27 at 2026-11-28", "event x: at is given twice"),
        (
            "x: at 2026-11-27 during 2h",
            'event x: "during" is not known; known words are at, cron, for, factor, floor and in',
        ),
        (
            "x: at 2026-11-27 for 2h factor 2; x: at 2026-11-28 for 2h factor 2",
            "event x is given twice",
        ),
        ("x" * 4097, "it has 4097 characters; at most 4096 are accepted"),
        (";".join(["x: "] * 17), "it has 17 events; at most 16 are accepted"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    assert refusal(text) == reason


METADATA = {"serverAddress": "http://prometheus:9090", "query": "q", "threshold": "10"}


def parsed(**changes: str) -> TriggerConfig:
    return parse_trigger(namespace="shop", name="web", metadata=METADATA | changes)


def test_a_triggers_metadata_has_events() -> None:
    assert parsed().events == ()
    (event,) = parsed(events="launch: at 2026-11-27T08:00 for 2h factor 2").events
    assert event == Event(name="launch", at="2026-11-27T08:00", duration=7200.0, factor=2.0)


def test_a_trigger_says_what_is_wrong_with_its_events() -> None:
    with pytest.raises(InvalidTrigger) as caught:
        parsed(events="launch: at noon for 2h factor 2")
    assert str(caught.value) == (
        'trigger metadata: events is "launch: at noon for 2h factor 2": event launch: at is "noon": it must be a time '
        "such as 2026-11-27T08:00, or with an offset 2026-11-27T08:00+01:00"
    )


def test_events_do_not_change_which_series_it_is() -> None:
    announced = parsed(events="launch: at 2026-11-27T08:00 for 2h factor 2")
    assert (announced.series_id, announced.metric_name) == (parsed().series_id, parsed().metric_name)
