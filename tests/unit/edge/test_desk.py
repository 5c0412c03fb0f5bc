"""The edge's memory: first calls, waiting, one decision a poll, refusals, idleness, a new engine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from scaler.decision import Snapshot
from scaler.edge.desk import TriggerDesk
from scaler.engine.messages import Evicted, Recalled, Refusal, Refused, Register, Reply, ToEngine, Update
from scaler.errors import AddressRefused, InvalidTrigger, LimitReached, ValueUnknown
from scaler.settings import Settings
from scaler.tenancy.tenants import Tenant
from scaler.web.board import ReadyState
from scaler.web.views import Board

if TYPE_CHECKING:
    from scaler.trigger import TriggerConfig

NOW = 1_700_000_000.0
METADATA = {
    "scalerAddress": "foresail:6000",
    "serverAddress": "http://prometheus:9090",
    "query": "sum(rate(http_requests_total[2m]))",
    "threshold": "10",
    "headroom": "1.2",
}


@dataclass
class Bench:
    """A desk, the time it sees, and what it told the engine."""

    wait: float = 5.0
    now: float = NOW
    ahead: float = 0.0  # by how much the wall clock was set ahead since the start
    engine: bool = True
    told: list[ToEngine] = field(default_factory=list)
    desk: TriggerDesk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = TriggerDesk(
            settings=Settings(first_answer_wait=self.wait, max_triggers=3),
            tell=self.told.append,
            engine_answering=lambda: self.engine,
            clock=lambda: self.now,
            monotonic=lambda: self.now - self.ahead,
        )

    def trigger(self, name: str = "web", **changes: str) -> TriggerConfig:
        return self.desk.trigger("shop", name, METADATA | changes)

    def snapshot(self, trigger: TriggerConfig, **changes: Any) -> Snapshot:
        made = Snapshot(
            trigger=trigger.key.id, series="s", made_at=self.now, observed=50.0, observed_at=self.now, note="young"
        )
        return msgspec.structs.replace(made, **changes)

    def update(self, trigger: TriggerConfig, **changes: Any) -> None:
        self.desk.apply(Update([self.snapshot(trigger, **changes)]))

    def recall(self, trigger: TriggerConfig, **changes: Any) -> None:
        """What a new engine tells of a trigger before it is called: what the store has kept."""
        self.desk.apply(Recalled([self.snapshot(trigger, **changes)]))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def impatient() -> Bench:
    return Bench(wait=0.0)


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


class TestRefusal:
    @pytest.mark.parametrize("error", [AddressRefused, LimitReached, InvalidTrigger])
    async def test_the_engine_s_refusal_reaches_the_caller(self, bench: Bench, error: type[Exception]) -> None:
        trigger = bench.trigger()
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.desk.apply(Refused(trigger.key.id, Refusal(error.__name__, "no, because")))
        with pytest.raises(error, match=r"^no, because$"):
            await waiting

    async def test_the_engine_is_asked_again_after_a_while(self, bench: Bench) -> None:
        trigger = bench.trigger()
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        bench.desk.apply(Refused(trigger.key.id, Refusal("LimitReached", "full")))
        with pytest.raises(LimitReached):
            await waiting
        bench.now += 10.0
        with pytest.raises(LimitReached):
            bench.desk.peek(trigger)
        assert len(bench.told) == 1
        bench.now += 10.0
        with pytest.raises(LimitReached):
            bench.desk.peek(trigger)
        assert len(bench.told) == 2
        bench.update(trigger)
        assert bench.desk.peek(trigger) is not None


class TestIdleness:
    async def test_an_evicted_trigger_is_forgotten(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger)
        await bench.desk.decision(trigger)
        assert bench.desk.take_called() == [trigger.key.id]
        assert bench.desk.take_called() == []
        bench.desk.apply(Evicted([trigger.key.id, "shop/never-seen/0"]))
        assert list(bench.desk.entries()) == []
        assert bench.desk.peek(trigger) is None

    async def test_a_call_that_crosses_the_eviction_registers_anew(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger)
        await bench.desk.decision(trigger)
        bench.desk.apply(Evicted([trigger.key.id]))
        assert bench.desk.peek(trigger) is not None
        assert len(bench.told) == 2

    async def test_a_trigger_called_as_it_is_evicted_is_not_kept_for_ever(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger)
        await bench.desk.decision(trigger)
        bench.desk.apply(Evicted([trigger.key.id]))  # it was called, so the engine hears of it again at once,
        assert len(bench.told) == 2
        bench.desk.take_called()
        bench.desk.apply(Evicted([trigger.key.id]))  # and can find it idle once more
        assert list(bench.desk.entries()) == []

    async def test_news_of_a_forgotten_trigger_are_not_kept(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.update(trigger)
        assert bench.desk.peek(trigger) is None
        waiting = asyncio.create_task(bench.desk.decision(trigger))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    async def test_a_forgotten_trigger_comes_back_like_a_new_one(self, bench: Bench) -> None:
        trigger = bench.trigger()
        bench.recall(trigger)
        await bench.desk.decision(trigger)
        bench.desk.take_called()
        bench.desk.apply(Evicted([trigger.key.id]))
        again = bench.trigger()
        waiting = asyncio.create_task(bench.desk.decision(again))
        await asyncio.sleep(0)
        assert len(bench.told) == 2
        bench.update(again)
        assert (await waiting).value == 60.0


class TestBounds:
    async def test_triggers_beyond_the_bound_are_refused_here(self, impatient: Bench) -> None:
        for n in range(3):
            with pytest.raises(ValueUnknown):
                await impatient.desk.decision(impatient.trigger(f"web-{n}"))
        with pytest.raises(LimitReached) as caught:
            await impatient.desk.decision(impatient.trigger("one-more"))
        assert str(caught.value) == (
            "this server already keeps 3 triggers, its setting max_triggers, and all were called "
            "within the last minute: raise it, or run another release of the scaler for some namespaces"
        )
        assert len(list(impatient.desk.entries())) == 3

    async def test_the_one_not_called_for_longest_makes_room(self, bench: Bench) -> None:
        triggers = [bench.trigger(f"web-{n}") for n in range(3)]
        for trigger in triggers:
            bench.recall(trigger)
            await bench.desk.decision(trigger)
            bench.now += 10.0
        bench.desk.peek(triggers[0])
        bench.now += 50.0
        more = bench.trigger("one-more")
        bench.recall(more)
        await bench.desk.decision(more)
        assert {entry.config.name for entry in bench.desk.entries()} == {"web-0", "web-2", "one-more"}
        assert [message.name for message in bench.told if isinstance(message, Register)][-1] == "one-more"
        bench.desk.apply(Evicted([triggers[1].key.id]))  # the engine's choice was the same
        with pytest.raises(LimitReached):  # web-2 was called 60 s ago, and is in use
            await bench.desk.decision(bench.trigger("two-more"))

    async def test_where_there_are_tenants_a_namespace_waits_with_its_share_of_calls(self) -> None:
        everyone = Tenant(name="all", namespaces=("*",), own_addresses=True)
        settings = Settings(first_answer_wait=5.0, max_concurrent_rpcs=8, tenants=(everyone,))
        told = list[ToEngine]()
        desk = TriggerDesk(settings=settings, tell=told.append, clock=lambda: NOW)
        noisy = [
            asyncio.create_task(desk.decision(desk.trigger("noisy", f"web-{n}", METADATA)), name=str(n))
            for n in range(3)
        ]
        await asyncio.wait([noisy[2]])
        assert str(noisy[2].exception()) == (
            "the load is not known yet, and namespace noisy has 2 calls that wait for a first value already, its share "
            "of this server's: the source is asked, and the next call may have its answer"
        )
        assert len(told) == 3  # the third is registered all the same
        quiet = asyncio.create_task(desk.decision(trigger := desk.trigger("quiet", "web", METADATA)))
        await asyncio.sleep(0)
        made = Snapshot(trigger=trigger.key.id, series="s", made_at=NOW, observed=50.0, observed_at=NOW)
        desk.apply(Update([made]))
        assert (await quiet).observed == 50.0
        for waiting in noisy[:2]:
            waiting.cancel()
        await asyncio.gather(*noisy[:2], return_exceptions=True)
        assert not desk._waiting

    async def test_a_namespace_fills_its_own_room_only(self) -> None:
        settings, told = Settings(first_answer_wait=0.0, namespace_triggers=2), list[ToEngine]()
        desk = TriggerDesk(settings=settings, tell=told.append, clock=lambda: NOW)
        for n in range(2):
            with pytest.raises(ValueUnknown):
                await desk.decision(desk.trigger("noisy", f"web-{n}", METADATA))
        with pytest.raises(LimitReached) as caught:
            await desk.decision(desk.trigger("noisy", "one-more", METADATA))
        assert str(caught.value) == (
            "namespace noisy has 2 triggers in use, and its quota namespace_triggers is 2: drop some of its triggers, "
            "or let the operator raise the quota; other namespaces are served on"
        )
        with pytest.raises(ValueUnknown):
            await desk.decision(desk.trigger("quiet", "web", METADATA))
        desk.take_called()
        desk.apply(Evicted([desk.trigger("noisy", "web-0", METADATA).key.id]))
        with pytest.raises(ValueUnknown):
            await desk.decision(desk.trigger("noisy", "one-more", METADATA))

    async def test_refused_triggers_make_room(self, impatient: Bench) -> None:
        for n in range(100):  # whoever makes up triggers fills nobody's memory: the engine never says they are idle
            impatient.now += 2.0
            trigger = impatient.trigger(f"web-{n}")
            with pytest.raises(ValueUnknown):
                await impatient.desk.decision(trigger)
            impatient.desk.apply(Refused(trigger.key.id, Refusal("AddressRefused", "no")))
        assert len(list(impatient.desk.entries())) <= 3
        assert len(impatient.desk._calls) <= 6
        assert len(impatient.desk._parsed) <= 3

    async def test_refused_triggers_are_looked_for_once_a_second(self, impatient: Bench) -> None:
        for n in range(3):
            with pytest.raises(ValueUnknown):
                await impatient.desk.decision(impatient.trigger(f"web-{n}"))
        with pytest.raises(LimitReached):
            await impatient.desk.decision(impatient.trigger("one-more"))
        impatient.desk.apply(Refused(impatient.trigger("web-1").key.id, Refusal("AddressRefused", "no")))
        with pytest.raises(LimitReached):
            await impatient.desk.decision(impatient.trigger("one-more"))
        impatient.now += 1.0
        with pytest.raises(ValueUnknown):
            await impatient.desk.decision(impatient.trigger("one-more"))


def test_an_answer_to_a_question_is_none_of_the_desk_s(bench: Bench) -> None:
    bench.desk.apply(Reply(1, b""))
    assert list(bench.desk.entries()) == []


async def test_a_refusal_withdrawn_while_it_is_asked_about_is_none(bench: Bench) -> None:
    trigger = bench.trigger()
    bench.recall(trigger)
    await bench.desk.decision(trigger)
    bench.desk.apply(Refused(trigger.key.id, Refusal("LimitReached", "full")))
    bench.now += 20.0
    # an engine in this process (the demo) answers within the telling
    bench.desk._tell = lambda _: bench.update(trigger)
    assert bench.desk.peek(trigger) is not None


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
