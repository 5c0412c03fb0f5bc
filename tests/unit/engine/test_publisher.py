"""What the edge is told together, and what the store keeps."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from scaler.decision import Snapshot
from scaler.engine.messages import Update
from scaler.errors import SourceUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_the_snapshots_of_one_moment_are_one_message(bench: Any) -> None:
    triggers = [bench.register(query=f"q{n}") for n in range(5)]
    await bench.engine.settle()
    bench.published.clear()
    for series in bench.engine.series:
        bench.engine._publisher.tell_of(series)
        bench.engine._publisher.tell_of(series)
    await asyncio.sleep(0)
    (message,) = bench.published
    assert isinstance(message, Update)
    assert sorted(one.trigger for one in message.snapshots) == sorted(triggers)


async def test_those_of_hundreds_are_several_messages(bench: Any) -> None:
    triggers = [bench.register(name=f"w{n}", threshold=str(n + 1)) for n in range(130)]
    await bench.engine.settle()
    bench.published.clear()
    (series,) = bench.engine.series
    bench.engine._publisher.tell_of(series)
    await asyncio.sleep(0)
    assert [len(message.snapshots) for message in bench.published] == [64, 64, 2]
    assert sorted(one.trigger for message in bench.published for one in message.snapshots) == sorted(triggers)


async def test_the_store_keeps_each_forecast_and_beside_them_a_load_a_minute(bench: Any, start: int) -> None:
    kept: list[Snapshot] = []
    bench.persistence.add_snapshot = lambda _, data: kept.append(msgspec.msgpack.decode(data, type=Snapshot))
    bench.register(queryStep="5m")
    await bench.engine.settle()
    kept.clear()
    await bench.at(start + 301.0)
    ages = [one.observed_at - start for one in kept]
    assert all(later - earlier >= 60.0 for earlier, later in itertools.pairwise(ages))
    assert len(ages) in {4, 5}
    origins = {one.outlook.origin for one in kept if one.outlook}
    await bench.at(start + 330.0)
    assert {one.outlook.origin for one in kept if one.outlook} == origins | {start + 300}


async def test_after_a_restart_the_forecast_of_before_is_told_until_there_is_a_new_one(
    make_workbench: Callable[..., Any], start: int
) -> None:
    before = make_workbench()
    trigger = before.register()
    await before.engine.settle()
    await before.persistence.flush(now=before.clock.now)

    after = make_workbench()
    await after.engine.warm_start()

    async def never(*_: object, **__: object) -> None:
        raise SourceUnreachable("still starting")

    after.source.range = never
    after.engine._modelling.recall = _nothing  # models that take long to read, say
    after.register()
    await after.engine.settle()
    told = after.snapshot(trigger)
    assert told.outlook.origin == start
    assert told.observed == 100.0
    after.clock.now = start + 241.0
    (series,) = after.engine.series
    after.engine._publisher.tell_of(series)
    await asyncio.sleep(0)
    assert after.snapshot(trigger).outlook is None  # too old to be served


async def _nothing(_: object) -> None:
    """Recalls nothing."""
