"""The agenda of announced events: ahead of time, and left out of what is learned."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from forecasting.series import TimeSeries
from scaler.engine.history import History
from scaler.event_settings import EventRule
from scaler.events import Event
from scaler.events.agenda import Agenda, agenda_of, masked, without_events
from scaler.trigger import parse_trigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


START = 1_700_006_400  # on the hour
NAN = float("nan")


def iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()


def event(start: float, *, duration: float = 600.0, factor: float = 2.0, floor: float = 0.0, name: str = "e") -> Event:
    return Event(name=name, at=iso(start), duration=duration, factor=factor, floor=floor)


def history(values: Sequence[float], start: int = START) -> History:
    made = History(step=60, capacity=100_000)
    made.extend(TimeSeries(start, 60, np.array(values)))
    return made


def bases(agenda: Agenda, past: History, now: float) -> list[float | None]:
    return [one.base for one in agenda.ahead(past, now=now, until=now + 1000.0)]


class TestAhead:
    def test_without_events_there_is_nothing(self) -> None:
        assert Agenda().ahead(history([1.0]), now=START, until=START + 9e9) == ()

    def test_what_is_over_or_far_away_is_left_out(self) -> None:
        agenda = Agenda([event(START + 1000.0), event(START - 600.0, name="over"), event(START + 9000.0, name="later")])
        names = [one.name for one in agenda.ahead(history([]), now=START, until=START + 1000.0)]
        assert names == ["e"]
        names = [one.name for one in agenda.ahead(history([]), now=START + 8000.0, until=START + 9000.0)]
        assert names == ["later"]

    def test_it_looks_back_when_time_does(self) -> None:
        agenda = Agenda([event(START)])
        assert agenda.ahead(history([]), now=START + 5000.0, until=START + 6000.0) == ()
        assert len(agenda.ahead(history([]), now=START, until=START + 100.0)) == 1

    def test_of_one_event_the_next_few_are_enough(self) -> None:
        often = Event(name="often", cron="* * * * *", duration=60.0, factor=2.0)
        found = Agenda([often]).ahead(history([]), now=START + 30.0, until=START + 3600.0)
        assert [one.start for one in found] == [START, START + 60, START + 120, START + 180]

    def test_the_load_without_a_running_event_is_the_one_before_it_until_more_is_seen(self) -> None:
        values = [100.0] * 11
        agenda = Agenda([event(START + 600.0), event(START + 600.0, factor=1.0, floor=5.0, name="floor")])
        assert bases(agenda, history(values), START + 599.0) == [None, None]
        assert bases(agenda, history(values), START + 600.0) == [100.0, None]
        assert bases(agenda, history([*values, 150.0, NAN, 200.0]), START + 780.0) == [100.0, None]
        assert bases(agenda, history([*values, 150.0, NAN, 200.0, 240.0]), START + 840.0) == [120.0, None]

    def test_each_sample_counts_once_and_the_past_is_not_needed_again(self) -> None:
        agenda = Agenda([event(START + 60.0, duration=86_400.0)])
        past = history([100.0, 100.0, 240.0])
        assert bases(agenda, past, START + 120.0) == [120.0]
        shorter = history([200.0], start=START + 180)
        assert bases(agenda, shorter, START + 180.0) == [120.0]
        assert bases(agenda, shorter, START + 50_000.0) == [120.0]  # expanded anew meanwhile

    def test_a_gap_before_the_event_is_looked_over(self) -> None:
        def base_with(values: list[float]) -> list[float | None]:
            return bases(Agenda([event(START + 600.0)]), history(values), START + 720.0)

        assert base_with([100.0] * 8 + [NAN] * 5) == [100.0]
        assert base_with([100.0] + [NAN] * 12) == [None]
        assert base_with([]) == [None]

    def test_a_source_that_has_stalled_before_the_event(self) -> None:
        assert bases(Agenda([event(START + 600.0)]), history([90.0, 80.0]), START + 660.0) == [80.0]


class TestWithoutEvents:
    def test_samples_that_tell_of_the_event_are_unknown(self) -> None:
        past = TimeSeries(START, 60, np.arange(20.0))
        cleaned = without_events(past, [Agenda([event(START + 120.0, duration=180.0)])])
        # the sample at 120 s tells of the minute before the start, the one at 300 s of the last minute
        assert np.flatnonzero(np.isnan(cleaned.values)).tolist() == [3, 4, 5]
        cleaned = without_events(past, [Agenda([event(START + 130.0, duration=180.0)])])
        assert np.flatnonzero(np.isnan(cleaned.values)).tolist() == [3, 4, 5, 6]

    def test_a_running_event_is_seen_by_forecasts_and_not_by_fits(self) -> None:
        past = TimeSeries(START, 60, np.arange(20.0))
        running = Agenda([event(past.end - 120.0)])
        assert without_events(past, [running], finished=True) is past
        assert np.isnan(without_events(past, [running]).values[-2:]).all()
        just_over = Agenda([event(past.end - 240.0, duration=180.0)])
        assert np.flatnonzero(np.isnan(without_events(past, [just_over], finished=True).values)).tolist() == [
            16,
            17,
            18,
        ]

    def test_events_of_all_triggers_count(self) -> None:
        past = TimeSeries(START, 60, np.arange(20.0))
        agendas = [Agenda([event(START, duration=60.0)]), Agenda([event(START + 60.0, duration=60.0)])]
        assert np.flatnonzero(np.isnan(without_events(past, agendas).values)).tolist() == [1, 2]

    def test_events_that_fill_the_past_are_what_the_load_is_like(self) -> None:
        past = TimeSeries(START, 60, np.arange(20.0))
        always = Agenda([Event(name="always", cron="*/5 * * * *", duration=240.0, factor=2.0)])
        assert without_events(past, [always]) is past
        assert masked(past, [always]).known == 4

    def test_what_was_found_before_is_not_looked_for_again_and_the_same_is_found(self) -> None:
        often = Event(name="often", cron="*/10 * * * *", duration=60.0, factor=2.0)
        agenda = Agenda([often, event(START + 4000.0, name="once")])

        def both(since: float, until: float) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
            fresh = Agenda([often, event(START + 4000.0, name="once")])
            return sorted(agenda.windows(since=since, until=until)), sorted(fresh.windows(since=since, until=until))

        for since, until in ((0, 3630), (1200, 4020), (600, 4020), (1230, 5000), (-600, 5000), (9000, 9600), (0, 9600)):
            kept, fresh = both(START + since, START + until)
            assert kept == fresh
            assert kept

    def test_of_a_frequent_event_the_newest_are_left_out(self) -> None:
        often = Event(name="often", cron="*/2 * * * *", duration=60.0, factor=2.0)
        windows = Agenda([often]).windows(since=START - 400 * 86_400, until=START)
        assert len(windows) == 2000
        assert max(start for start, _ in windows) == START - 120

    def test_what_is_remembered_of_the_past_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("scaler.events.agenda._LEFT_OUT", 5)
        agenda = Agenda([Event(name="often", cron="*/2 * * * *", duration=60.0, factor=2.0)])
        for n in range(1, 60):
            found = agenda.windows(since=START, until=START + 120.0 * n)
            assert min(n, 5) <= len(found) <= 11
            assert max(start for start, _ in found) == START + 120.0 * (n - 1)

    def test_nothing_to_leave_out(self) -> None:
        past = TimeSeries(START, 60, np.arange(20.0))
        assert without_events(past, [Agenda(), Agenda([event(START + 9e6)])]) is past
        empty = TimeSeries(0, 60, np.empty(0))
        assert without_events(empty, [Agenda([event(0.0)])]) is empty


def test_a_triggers_agenda_has_its_own_events_and_those_of_the_settings() -> None:
    metadata = {
        "serverAddress": "http://prometheus:9090",
        "query": "q",
        "threshold": "10",
        "timeZone": "America/New_York",
        "events": "own: at 2026-11-27T08:00 for 2h factor 2; elsewhere: at 2026-11-27T08:00 for 2h factor 2 in UTC",
    }
    config = parse_trigger(namespace="shop", name="web", metadata=metadata)
    shared = event(datetime(2026, 11, 27, 6, tzinfo=UTC).timestamp(), name="shared")
    rules = [EventRule(event=shared), EventRule(event=event(0.0, name="other"), namespaces=("media",))]
    since = datetime(2026, 11, 27, tzinfo=UTC).timestamp()
    windows = agenda_of(config, rules).windows(since=since, until=since + 86400)
    assert sorted((start - since) / 3600 for start, _ in windows) == [6.0, 8.0, 13.0]
