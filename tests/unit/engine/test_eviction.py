"""Triggers that nobody calls any more."""

from __future__ import annotations

import asyncio
from typing import Any

from scaler.engine.messages import Evicted

MINUTE = 60


async def settled(bench: Any) -> None:
    await bench.engine.settle()


class TestEviction:
    async def test_an_idle_trigger_is_let_go_and_its_source_closed(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        bench.engine.housekeep()
        await bench.at(start + 6 * MINUTE)
        assert Evicted([trigger]) in bench.published
        assert (bench.engine.trigger_count, bench.engine.series_count, bench.source.closed) == (0, 0, True)

    async def test_a_called_one_stays(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        bench.engine.housekeep()
        await bench.at(start + 4 * MINUTE)
        bench.engine.called([trigger, "shop/unknown/0"])
        await bench.at(start + 8 * MINUTE)
        assert bench.engine.trigger_count == 1

    async def test_the_history_of_an_evicted_trigger_is_still_in_the_store(self, bench: Any, start: int) -> None:
        bench.register()
        await settled(bench)
        bench.engine.housekeep()
        await bench.at(start + 6 * MINUTE)
        bench.source.asked.clear()
        bench.register()
        await settled(bench)
        ((first, last),) = bench.source.asked
        assert last - first < 10 * MINUTE

    async def test_what_is_under_way_for_an_evicted_series_is_dropped(self, bench: Any, start: int) -> None:
        bench.register()
        await settled(bench)
        never = asyncio.Event()

        async def hang(_: str) -> None:
            await never.wait()

        bench.source.instant = hang
        bench.clock.now = start + 20.0
        bench.engine.start_due()
        bench.engine.housekeep()
        bench.clock.now = start + 6.0 * MINUTE
        bench.engine.start_due()
        await settled(bench)  # else this waits for ever
        assert (bench.engine.series_count, bench.source.closed) == (0, True)
        assert not [
            job for _, _, job in bench.engine._timetable._heap if job in bench.engine._timetable._due and job[1]
        ]

    async def test_a_fit_in_the_queue_of_an_evicted_series_is_not_made(self, bench: Any, start: int) -> None:
        queued = asyncio.get_running_loop().create_future()

        waits = asyncio.Event()

        async def wait(*_: Any, **__: Any) -> None:
            waits.set()
            await queued

        bench.fits.fit = wait
        bench.register()
        await waits.wait()
        bench.engine.housekeep()
        bench.clock.now = start + 6.0 * MINUTE
        bench.engine.start_due()
        await settled(bench)
        assert queued.cancelled()

    async def test_one_of_two_triggers_of_a_series_goes_alone(self, bench: Any, start: int) -> None:
        bench.register("one")
        two = bench.register("two")
        await settled(bench)
        bench.engine.housekeep()
        bench.clock.now = start + 4.0 * MINUTE
        bench.engine.called([two])
        await bench.at(start + 6 * MINUTE)
        assert (bench.engine.trigger_count, bench.engine.series_count, bench.source.closed) == (1, 1, False)
        assert bench.snapshot(two).observed_at > start + 5 * MINUTE
