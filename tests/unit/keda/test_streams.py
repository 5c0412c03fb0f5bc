from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from scaler.keda.streams import Streams
from tests.support.scripted_desk import ScriptedDesk, decided

if TYPE_CHECKING:
    from scaler.trigger import TriggerConfig

METADATA = {"serverAddress": "http://prometheus:9090", "query": "sum(orders)", "threshold": "5"}


async def test_streams_that_open_after_the_end_end_at_once_and_well() -> None:
    desk = ScriptedDesk(decided(9.0))
    trigger = desk.trigger("shop", "web", METADATA)
    streams = Streams(desk, most=2, rest=0.0)
    streams.end()
    assert [response.result async for response in streams.active(trigger)] == []
    assert len([response async for response in streams.specs(trigger)]) == 1, "never no spec at all"
    assert streams.open == 0


async def test_a_desk_that_times_out_inside_is_no_end() -> None:
    desk = ScriptedDesk(TimeoutError("a socket's own"))
    streams = Streams(desk, most=2, rest=0.0)
    with pytest.raises(TimeoutError, match=r"^a socket's own$"):
        await anext(streams.active(desk.trigger("shop", "web", METADATA)))
    assert streams.open == 0


async def test_the_end_interrupts_a_rest_and_a_first_value_that_does_not_come() -> None:
    desk = ScriptedDesk(None)
    desk.arrival.clear()
    streams = Streams(desk, most=2, rest=3600.0)
    trigger = desk.trigger("shop", "web", METADATA)

    async def listen() -> list[bool]:
        return [response.result async for response in streams.active(trigger)]

    waiting = asyncio.create_task(listen())
    await asyncio.sleep(0)
    assert desk.waiting == 1
    streams.end()
    assert await waiting == []
    assert desk.waiting == 0


async def test_between_two_looks_a_stream_rests() -> None:
    desk = ScriptedDesk(decided(0.0, active=False))
    streams = Streams(desk, most=1, rest=3600.0)
    trigger = desk.trigger("shop", "web", METADATA)
    listening = asyncio.ensure_future(anext(streams.active(trigger), None))
    await asyncio.sleep(0)
    changing = [asyncio.create_task(desk.change(decided(9.0))) for _ in range(3)]
    for _ in range(10):
        await asyncio.sleep(0)  # turns of the loop, not time
    assert desk.asked.count("peek") == 1
    streams.end()
    assert await listening is None
    for change in changing:
        change.cancel()


async def test_what_changes_while_the_client_takes_a_true_is_seen() -> None:
    class Forgetful(ScriptedDesk):
        """Tells only those who wait at that moment, as a desk may."""

        async def changed(self, trigger: TriggerConfig) -> None:
            del trigger
            await change.wait()

    change = asyncio.Event()
    desk = Forgetful(None)
    streams = Streams(desk, most=1, rest=0.0)
    desk.answers[METADATA["query"]] = decided(9.0, active=True)
    said = streams.active(desk.trigger("shop", "web", METADATA))
    assert (await anext(said)).result is True
    desk.answers[METADATA["query"]] = decided(0.0, active=False)  # nobody is told
    following = asyncio.ensure_future(anext(said))
    await asyncio.sleep(0)
    desk.answers[METADATA["query"]] = decided(9.0, active=True)
    change.set()
    assert (await following).result is True
    streams.end()
    assert [response async for response in said] == []
