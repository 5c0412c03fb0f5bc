"""The arithmetic of event windows, whatever the events, clocks and loads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision import DecisionPolicy, Occurrence, Snapshot, decide
from scaler.decision.events import ask, base
from scaler.events import EVENTS, Event, occurrences
from scaler.kinds import Unreadable

TIMES = st.floats(0.0, 2000.0)
LOADS = st.floats(0.0, 1e9)
FACTORS = st.floats(1.0, 100.0)


@st.composite
def an_occurrence(draw: st.DrawFn) -> Occurrence:
    start = draw(TIMES)
    return Occurrence(
        start=start,
        end=start + draw(st.floats(1.0, 500.0)),
        factor=draw(FACTORS),
        floor=draw(LOADS),
        name="e",
        until="then",
        base=draw(st.none() | LOADS),
    )


EVENTS_OF_A_TRIGGER = st.lists(an_occurrence(), max_size=6)


@given(EVENTS_OF_A_TRIGGER, TIMES, st.floats(0.0, 600.0), LOADS)
def test_what_is_asked_is_what_each_moment_of_the_window_asks(
    events: list[Occurrence], now: float, window: float, load: float
) -> None:
    # the moments at which something may change: the ends of the window, and every start within it
    moments = {now, now + window, *(e.start for e in events if now <= e.start <= now + window)}
    wanted = 0.0
    for moment in moments:
        for e in events:
            if e.start <= moment < e.end:
                wanted = max(wanted, ask([e], now=now, window=window, load=load).value)
    assert ask(events, now=now, window=window, load=load).value == wanted


@given(EVENTS_OF_A_TRIGGER, TIMES, st.floats(0.0, 600.0), st.floats(0.0, 600.0), LOADS)
def test_a_longer_window_never_asks_for_less(
    events: list[Occurrence], now: float, window: float, longer: float, load: float
) -> None:
    short = ask(events, now=now, window=window, load=load)
    assert ask(events, now=now, window=window + longer, load=load).value >= short.value


@given(an_occurrence(), TIMES, LOADS)
def test_a_factor_is_between_one_and_itself(e: Occurrence, now: float, load: float) -> None:
    asked = ask([e], now=now, window=100.0, load=load).value
    if e.start <= now + 100.0 and now < e.end and e.factor > 1.0:
        assert load <= asked <= max(e.floor, e.factor * load)


@given(st.lists(LOADS, max_size=30), LOADS, FACTORS)
def test_the_load_without_an_event_explains_every_load(loads: list[float], before: float, factor: float) -> None:
    without = base(loads, before=before, factor=factor)
    if loads:
        assert loads[-1] / factor <= without <= loads[-1]
    else:
        assert without == before


@given(EVENTS_OF_A_TRIGGER, LOADS, st.booleans())
def test_events_only_ever_raise(events: list[Occurrence], load: float, observe: bool) -> None:  # noqa: FBT001  # drawn
    policy = DecisionPolicy(threshold=10.0, observe_only=observe)
    plain = Snapshot(trigger="t", series="s", made_at=1000.0, observed=load, observed_at=1000.0, note="none")
    raised = Snapshot(
        trigger="t", series="s", made_at=1000.0, observed=load, observed_at=1000.0, note="none", events=tuple(events)
    )
    without, with_events = decide(plain, policy, now=1000.0), decide(raised, policy, now=1000.0)
    assert with_events.would_serve >= without.would_serve
    assert with_events.active >= without.active
    if observe:
        assert (with_events.value, with_events.active) == (without.value, without.active)


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])


@given(
    ZONES,
    st.integers(0, 23),
    st.integers(0, 59),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001  # made aware below
    st.integers(1, 40),
)
def test_a_daily_event_takes_place_once_each_local_day(
    zone: str, hour: int, minute: int, first: datetime, days: int
) -> None:
    daily = Event(name="d", cron=f"{minute} {hour} * * *", duration=600.0, factor=2.0, time_zone=zone)
    local = ZoneInfo(zone)
    begin = first.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=local)
    end = (begin + timedelta(days=days)).replace(tzinfo=local)  # the same wall clock, days later
    found = list(occurrences(daily, since=begin.timestamp() + 0.5, until=end.timestamp()))
    starts = [datetime.fromtimestamp(o.start, local).date() for o in found]
    expected = [begin.date() + timedelta(days=n) for n in range(days)]
    # one that began the day before may still be going on at midnight
    assert [day for day in starts if day >= begin.date()] == expected
    assert all(o.end - o.start == 600.0 for o in found)


@given(
    ZONES, st.floats(1.7e9, 1.9e9), st.floats(0.0, 5e6), st.sampled_from(["*/7 * * * *", "0 9 * * 1-5", "30 2 * * *"])
)
def test_looking_in_two_parts_finds_what_looking_at_once_does(zone: str, since: float, span: float, cron: str) -> None:
    e = Event(name="e", cron=cron, duration=300.0, factor=2.0, time_zone=zone)
    middle, until = since + span / 20, since + span / 10
    whole = list(occurrences(e, since=since, until=until))
    parts = list(occurrences(e, since=since, until=middle))
    parts += [o for o in occurrences(e, since=middle, until=until) if o not in parts]
    assert parts == whole
    assert all(o.end > since and o.start < until for o in whole)


WORDS = st.sampled_from(
    ["a:", "at", "cron", "for", "factor", "floor", "in", "1h", "2", "UTC", "2026-11-27T08:00", "*", "1#5/2", "\n"]
)


@given(st.text(max_size=200) | st.lists(WORDS, max_size=30).map(" ".join))
def test_any_text_is_events_or_a_designed_refusal(text: str) -> None:
    try:
        found = EVENTS.parse(text)
    except Unreadable:
        return
    assert EVENTS.parse(EVENTS.show(found)) == found


def test_times_are_utc_where_they_say_so() -> None:
    (event,) = EVENTS.parse("x: at 2026-11-27T08:00Z for 1h factor 2 in Europe/Berlin")
    (one,) = occurrences(event, since=0.0, until=1e11)
    assert one.start == datetime(2026, 11, 27, 8, tzinfo=UTC).timestamp()
    assert one.until == "2026-11-27 10:00 Europe/Berlin"
