"""The edge's memory: first calls, waiting, one decision a poll, a new engine. Its limits: test_desk_limits.py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from scaler.engine.messages import Evicted, Refusal, Refused, Register, Reply
from scaler.errors import InvalidTrigger, ValueUnknown
from scaler.web.board import ReadyState
from scaler.web.views import Board
from tests.support.desk import METADATA, NOW, Bench

if TYPE_CHECKING:
    from scaler.trigger import TriggerConfig


class TestTrigger:
    def test_equal_metadata_is_parsed_once(self, bench: Bench) -> None:
        reordered = dict(reversed(METADATA.items()))
        assert bench.trigger() is bench.desk.trigger("shop", "web", reordered)
        assert bench.trigger() is not bench.trigger(threshold="11")
        assert bench.trigger() is not bench.trigger("api")

    def test_asking_for_the_metadata_alone_tells_the_engine_nothing(self, bench: Bench) -> None:
        bench.trigger()
        assert bench.told == []

    def test_problems_are_raised_every_time(self, bench: Bench) -> None:
        for _ in range(2):
            with pytest.raises(InvalidTrigger):
                bench.trigger(threshold="-1")

    async def test_the_cache_is_bounded_and_triggers_in_use_survive_it(self, bench: Bench) -> None:
        first = bench.trigger("first")
        waiting = asyncio.create_task(bench.desk.decision(first))
        await asyncio.sleep(0)
        for n in range(10):
            bench.trigger(f"other-{n}")
        bench.update(first)
        assert (await waiting).observed == 50.0
        await bench.desk.register_all()
        registered = [message.name for message in bench.told if isinstance(message, Register)]
        assert registered == ["first", "first"]


class TestDecision:
    async def test_the_first_call_registers_and_waits_for_the_first_value(self, bench: Bench) -> None:
        trigger = bench.trigger()
        assert bench.desk.peek(trigger) is None
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        assert bench.told == [Register(trigger.key.id, "shop", "web", METADATA)]
        bench.update(trigger, observed=None, observed_at=0.0)
        await asyncio.sleep(0)
        assert not waiting.done()
        bench.update(trigger)
        assert (await waiting).value == 60.0

    async def test_the_wait_is_bounded(self, impatient: Bench) -> None:
        with pytest.raises(ValueUnknown) as caught:
            await impatient.desk.decision(impatient.trigger())
        assert str(caught.value) == (
            "the load is not known yet: the source has not answered within 0s of the trigger's first call; "
            "it is asked on"
        )

    async def test_an_engine_that_is_not_there_is_told_instead_of_blaming_the_source(self, impatient: Bench) -> None:
        impatient.engine = False
        with pytest.raises(ValueUnknown) as caught:
            await impatient.desk.decision(impatient.trigger())
        assert str(caught.value) == (
            "the load is not known yet: the engine process, which asks the sources, is being started; "
            "it has not come up within 0s of this call"
        )

    async def test_a_failing_source_is_told_at_once(self, bench: Bench) -> None:
        trigger = bench.trigger()
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.update(trigger, observed=None, observed_at=0.0, error="connection refused")
        with pytest.raises(ValueUnknown, match=r"^the load is not known yet: connection refused$"):
            await waiting

    async def test_a_known_trigger_is_answered_without_waiting(self, bench: Bench) -> None:
        trigger = bench.trigger()
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.update(trigger)
        await waiting
        decision = bench.desk.peek(trigger)
        assert decision is not None
        assert decision.value == 60.0

    async def test_is_active_follows_the_get_metrics_before_it(self, bench: Bench) -> None:
        trigger = bench.trigger()
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.update(trigger)
        await waiting
        metrics = bench.desk.peek(trigger)
        bench.update(trigger, observed=0.0)
        assert bench.desk.peek(trigger, follows=True) is metrics
        bench.now += 1.5
        later = bench.desk.peek(trigger, follows=True)
        assert later is not None
        assert later.observed == 0.0

    async def test_an_unknown_value_is_not_followed_by_an_old_decision(self, bench: Bench) -> None:
        trigger = bench.trigger()
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.update(trigger)
        await waiting
        bench.update(trigger, observed_at=NOW - 400.0)
        with pytest.raises(ValueUnknown):
            bench.desk.peek(trigger)
        with pytest.raises(ValueUnknown):
            bench.desk.peek(trigger, follows=True)

    async def test_two_triggers_that_differ_in_metadata_only_are_two(self, bench: Bench) -> None:
        one, two = bench.trigger(), bench.trigger(headroom="2")
        waiting = [asyncio.create_task(bench.desk.decision(trigger)) for trigger in (one, two)]
        await asyncio.sleep(0)
        bench.update(one)
        bench.update(two)
        assert [(await task).value for task in waiting] == [60.0, 100.0]

    async def test_a_stored_snapshot_answers_the_first_call(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger)
        assert (await bench.desk.decision(trigger)).value == 60.0
        assert len(bench.told) == 1

    async def test_a_stored_snapshot_never_replaces_a_newer_one(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger, observed=40.0)
        await bench.desk.decision(trigger)
        bench.update(trigger, observed=50.0)
        bench.recall(trigger, observed=10.0, observed_at=NOW - 3600.0)  # the engine was started again, on an old store
        decision = bench.desk.peek(trigger)
        assert decision is not None
        assert decision.observed == 50.0

    async def test_a_stored_snapshot_ends_the_wait_of_a_first_call(self, bench: Bench) -> None:
        trigger = bench.trigger()
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.recall(trigger)
        assert (await waiting).value == 60.0

    async def test_a_new_engine_that_does_not_know_the_load_takes_nothing_away(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger)
        await bench.desk.decision(trigger)
        bench.now += 20.0
        bench.update(trigger, observed=None, observed_at=0.0, error="connection refused")
        decision = bench.desk.peek(trigger)
        assert decision is not None
        assert (decision.observed, decision.observed_age) == (50.0, 20.0)
        bench.now += 290.0
        with pytest.raises(ValueUnknown, match=r"5m10s old, older than the 5m that a value is good for: connection"):
            bench.desk.peek(trigger)


async def test_a_fleet_is_told_to_a_new_engine_some_at_a_time_without_what_is_let_go_of_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scaler.edge.desk._TOLD_AT_ONCE", 2)
    bench = Bench()
    triggers = [bench.trigger(f"web-{n}") for n in range(3)]
    for trigger in triggers:
        bench.recall(trigger)
        await bench.desk.decision(trigger)
    bench.told.clear()
    telling = asyncio.create_task(bench.desk.register_all())
    await asyncio.sleep(0)
    assert [message.name for message in bench.told if isinstance(message, Register)] == ["web-0", "web-1"]
    bench.desk.take_called()
    bench.desk.apply(Evicted([triggers[2].key.id]))
    await telling
    assert len(bench.told) == 2


class TestAfterARestart:
    """What the store has kept answers while it is good; when it is too old, the source's answer is a moment away."""

    async def test_a_load_that_is_still_good_is_answered_at_once(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger, observed_at=NOW - 100.0)
        decision = await bench.desk.decision(trigger)
        assert (decision.observed, decision.observed_age) == (50.0, 100.0)

    async def test_one_that_is_too_old_waits_for_the_newer(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger, observed_at=NOW - 301.0)
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        assert not waiting.done()
        bench.update(trigger, observed=70.0)
        assert (await waiting).observed == 70.0

    async def test_a_recalled_load_that_comes_while_the_call_waits_is_looked_at_alike(self, bench: Bench) -> None:
        trigger = bench.trigger()
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.recall(trigger, observed_at=NOW - 301.0)
        await asyncio.sleep(0)
        assert not waiting.done()
        bench.update(trigger)
        assert (await waiting).observed == 50.0

    async def test_who_waits_in_vain_is_told_so_and_nothing_is_noted_as_an_answer(self, impatient: Bench) -> None:
        trigger = impatient.trigger()
        impatient.recall(trigger, observed_at=NOW - 301.0)
        with pytest.raises(ValueUnknown, match=r"^the load is not known yet: the source has not answered within 0s"):
            await impatient.desk.decision(trigger)
        assert impatient.desk.take_changes() == []

    async def test_once_the_source_has_failed_its_words_are_the_answer(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger, observed_at=NOW - 301.0)
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.update(trigger, observed_at=NOW - 301.0, error="prometheus refuses the connection")
        with pytest.raises(ValueUnknown) as found:
            await waiting
        assert str(found.value) == (
            "the load is not known: the last value is 5m1s old, older than the 5m that a value is good for: "
            "prometheus refuses the connection"
        )


def test_an_answer_to_a_question_is_none_of_the_desk_s(bench: Bench) -> None:
    bench.desk.apply(Reply(1, b""))
    assert list(bench.desk.entries()) == []


async def test_what_the_engine_cannot_take_up_is_unknown(bench: Bench) -> None:
    trigger = bench.trigger()
    waiting = asyncio.create_task(bench.desk.decision(trigger))
    await asyncio.sleep(0)
    bench.desk.apply(Refused("shop/never-seen/0", Refusal("LimitReached", "full")))
    bench.desk.apply(Refused(trigger.key.id, Refusal("ValueUnknown", "the trigger cannot be taken up")))
    with pytest.raises(ValueUnknown, match=r"^the trigger cannot be taken up$"):
        await waiting


async def test_changed_returns_after_a_while_without_news(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaler.edge.desk._LOOK_AGAIN", 0.0)
    await bench.desk.changed(bench.trigger())
    assert len(bench.told) == 1


def test_the_clock_that_decides_is_the_one_given(bench: Bench) -> None:
    assert bench.desk.clock() == bench.now


async def test_a_call_dropped_from_the_cache_registers_with_its_next_call(bench: Bench) -> None:
    trigger = bench.trigger()
    for n in range(4):
        bench.trigger(f"other-{n}")  # between the reading of the call's metadata and its decision
    bench.recall(trigger)
    await bench.desk.decision(trigger)
    assert bench.told == []
    assert bench.desk.peek(bench.trigger()) is not None
    assert len(bench.told) == 1
    bench.desk.apply(Refused(trigger.key.id, Refusal("LimitReached", "full")))
    bench.desk._calls.clear()
    bench.desk.take_called()
    bench.desk.apply(Evicted([trigger.key.id]))
    assert list(bench.desk.entries()) == []


async def test_changed_returns_with_the_next_snapshot(bench: Bench) -> None:
    trigger = bench.trigger()
    waiting = asyncio.create_task(bench.desk.changed(trigger))
    await asyncio.sleep(0)
    assert not waiting.done()
    bench.update(trigger)
    await waiting


class TestChanges:
    async def test_a_poll_and_what_follows_it_are_one_note(self, bench: Bench) -> None:
        trigger = bench.trigger()
        task = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.update(trigger)
        await task
        bench.desk.peek(trigger, follows=True)
        ((noted, change),) = bench.desk.take_changes()
        assert (noted, change.at, change.value, change.source) == (trigger.key.id, NOW, 60.0, "observed")
        assert change.reason == "serving 60: 1.2 x observed 50, because young"
        assert bench.desk.take_changes() == []

    async def test_the_load_becoming_unknown_is_a_change(self, bench: Bench) -> None:
        trigger = bench.trigger()
        task = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.update(trigger)
        await task
        bench.desk.take_changes()
        bench.now += 301.0
        with pytest.raises(ValueUnknown) as caught:
            bench.desk.peek(trigger)
        ((_, change),) = bench.desk.take_changes()
        assert (change.value, change.reason) == (None, str(caught.value))


class TestClockSteps:
    """However the wall clock is set, no value is younger than it is."""

    @pytest.fixture
    def known(self, bench: Bench) -> TriggerConfig:
        trigger = bench.trigger()
        bench.desk._open(trigger)
        bench.update(trigger)
        return trigger

    @staticmethod
    def set_clock(bench: Bench, by: float) -> None:
        bench.now += by
        bench.ahead += by

    def test_set_back_a_value_goes_on_growing_older(self, bench: Bench, known: TriggerConfig) -> None:
        bench.now += 100.0
        self.set_clock(bench, -7200.0)
        decision = bench.desk.peek(known)
        assert decision is not None
        assert decision.observed_age == 100.0
        bench.now += 150.0
        bench.update(known, observed_at=NOW, error="connection refused")  # the engine has looked again, in vain
        bench.now += 51.0
        with pytest.raises(ValueUnknown, match=r"^the load is not known: the last value is 5m1s old"):
            bench.desk.peek(known)
        bench.update(known)  # by the new clock
        decision = bench.desk.peek(known)
        assert decision is not None
        assert decision.observed_age == 0.0

    def test_set_ahead_it_is_asked_for_anew(self, bench: Bench, known: TriggerConfig) -> None:
        self.set_clock(bench, 3600.0)
        with pytest.raises(ValueUnknown, match=r"^the load is not known: the last value is 1h old"):
            bench.desk.peek(known)
        bench.update(known)
        assert bench.desk.peek(known) is not None

    def test_what_is_shown_is_what_is_answered(self, bench: Bench, known: TriggerConfig) -> None:
        bench.now += 100.0
        self.set_clock(bench, -7200.0)
        board = Board(entries=bench.desk.entries, ready=lambda: ReadyState(ready=True), clock=bench.desk.clock)
        (shown,) = board.explain("shop", "web")
        assert shown.trigger == known.key.digest
        assert shown.observed is not None
        assert shown.observed.age == 100.0
        assert board.triggers()[0].observed_age == 100.0


class TestLeadTime:
    def test_the_one_in_force_is_the_engine_s(self, bench: Bench) -> None:
        trigger = bench.trigger(leadTime="auto")
        bench.recall(trigger, lead_time=42.0)  # of the store, before the first call
        entry = bench.desk._open(trigger)
        assert entry.policy.lead_time == 42.0
        bench.update(trigger, lead_time=300.0)
        assert entry.policy.window == 525.0  # with 45 s of asking and 180 s of margin
        bench.update(trigger)  # of an engine that does not say
        assert entry.policy.lead_time == 300.0

    def test_until_it_is_measured_it_is_the_default(self, bench: Bench) -> None:
        assert bench.desk._open(bench.trigger(leadTime="auto")).policy.lead_time == 180.0
        assert bench.desk._open(bench.trigger("api", leadTime="2m")).policy.lead_time == 120.0
