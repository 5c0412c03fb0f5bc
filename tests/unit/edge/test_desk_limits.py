"""Whom the edge does not serve, or no longer: what the engine refuses, who is idle, who finds no room."""

from __future__ import annotations

import asyncio

import pytest

from scaler.decision import Snapshot
from scaler.edge.desk import TriggerDesk
from scaler.engine.messages import Evicted, Refusal, Refused, Register, ToEngine, Update
from scaler.errors import AddressRefused, InvalidTrigger, LimitReached, ValueUnknown
from scaler.settings import Settings
from scaler.tenancy.tenants import Tenant
from tests.support.desk import METADATA, NOW, Bench


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


async def test_a_refusal_withdrawn_while_it_is_asked_about_is_none(bench: Bench) -> None:
    trigger = bench.trigger()
    bench.recall(trigger)
    await bench.desk.decision(trigger)
    bench.desk.apply(Refused(trigger.key.id, Refusal("LimitReached", "full")))
    bench.now += 20.0
    # an engine in this process (the demo) answers within the telling
    bench.desk._tell = lambda _: bench.update(trigger)
    assert bench.desk.peek(trigger) is not None
