"""When events take place, above all in the nights in which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scaler.events import Event, occurrences
from scaler.events.event import shortest_gap, start_of

BERLIN = "Europe/Berlin"


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def starts(event: Event, since: str, until: str) -> list[str]:
    found = occurrences(event, since=utc(since), until=utc(until))
    return [f"{datetime.fromtimestamp(o.start, UTC):%m-%d %H:%M}" for o in found]


def cron(expression: str, zone: str = BERLIN, duration: float = 3600.0) -> Event:
    return Event(name="e", cron=expression, duration=duration, factor=2.0, time_zone=zone)


def at(moment: str, zone: str = BERLIN) -> Event:
    return Event(name="e", at=moment, duration=6 * 3600.0, floor=5.0, time_zone=zone)


class TestClockChanges:
    def test_local_time_moves_against_utc(self) -> None:
        spring = starts(cron("0 9 * * *"), "2026-03-27T00:00", "2026-03-31T00:00")
        assert spring == ["03-27 08:00", "03-28 08:00", "03-29 07:00", "03-30 07:00"]
        autumn = starts(cron("0 9 * * *"), "2026-10-24T00:00", "2026-10-27T00:00")
        assert autumn == ["10-24 07:00", "10-25 08:00", "10-26 08:00"]

    def test_a_start_in_springs_gap_takes_place_once_right_after_it(self) -> None:
        night = starts(cron("30 2 * * *"), "2026-03-28T00:00", "2026-03-31T00:00")
        assert night == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]

    def test_a_start_in_autumns_double_hour_takes_place_once_the_first_time(self) -> None:
        night = starts(cron("30 2 * * *"), "2026-10-24T00:00", "2026-10-27T00:00")
        assert night == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]

    def test_every_hour_is_every_hour(self) -> None:
        spring = starts(cron("0 * * * *"), "2026-03-29T00:00", "2026-03-29T03:30")
        assert spring == ["03-29 00:00", "03-29 01:00", "03-29 02:00", "03-29 03:00"]
        autumn = starts(cron("0 * * * *"), "2026-10-24T23:00", "2026-10-25T02:30")
        assert autumn == ["10-24 23:00", "10-25 00:00", "10-25 01:00", "10-25 02:00"]

    def test_a_single_moment_in_the_gap_or_the_double_hour(self) -> None:
        assert start_of("2026-03-29T02:30", BERLIN).timestamp() == utc("2026-03-29T01:30")
        assert start_of("2026-10-25T02:30", BERLIN).timestamp() == utc("2026-10-25T00:30")

    def test_a_duration_is_seconds_that_pass(self) -> None:
        (night,) = occurrences(at("2026-10-25T00:00"), since=utc("2026-10-24T00:00"), until=utc("2026-10-26T00:00"))
        assert night.end - night.start == 6 * 3600.0
        assert night.until == "2026-10-25 05:00 Europe/Berlin"  # six hours after midnight, one of them twice


class TestOccurrences:
    def test_an_offset_counts_more_than_the_zone(self) -> None:
        (one,) = occurrences(at("2026-11-27T08:00-05:00"), since=0.0, until=1e11)
        assert (one.start, one.until) == (utc("2026-11-27T13:00"), "2026-11-27 20:00 Europe/Berlin")

    def test_without_a_zone_it_is_the_triggers(self) -> None:
        (one,) = occurrences(at("2026-11-27T08:00", zone=""), since=0.0, until=1e11, time_zone="America/New_York")
        assert (one.start, one.until) == (utc("2026-11-27T13:00"), "2026-11-27 14:00 America/New_York")

    @pytest.mark.parametrize(
        ("since", "until", "found"),
        [
            ("2026-11-27T00:00", "2026-11-27T07:00", 0),  # starts at the end of what is asked for
            ("2026-11-27T00:00", "2026-11-27T07:01", 1),
            ("2026-11-27T12:59", "2026-11-28T00:00", 1),
            ("2026-11-27T13:00", "2026-11-28T00:00", 0),  # is over at its beginning
        ],
    )
    def test_what_touches_the_span_is_found(self, since: str, until: str, found: int) -> None:
        assert len(starts(at("2026-11-27T08:00"), since, until)) == found
        assert len(starts(cron("0 8 27 11 *", duration=6 * 3600.0), since, until)) == found

    def test_its_parts(self) -> None:
        (one,) = occurrences(cron("0 9 27 11 *"), since=utc("2026-11-01T00:00"), until=utc("2026-12-01T00:00"))
        assert (one.name, one.factor, one.floor, one.base) == ("e", 2.0, 0.0, None)


def test_the_shortest_gap_between_starts() -> None:
    assert shortest_gap("*/5 * * * *") == 300.0
    assert shortest_gap("0 9 1,2 * *") == 86400.0
    with pytest.raises(ValueError, match=r"^bad minute$"):
        shortest_gap("61 * * * *")
    with pytest.raises(ValueError, match=r"^bad"):
        shortest_gap("0 0 * * 1#5/2")
