"""What an engine that was started anew makes of what the one before it has stored; and another replica."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scaler.errors import SourceUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable


MINUTE = 60


async def settled(bench: Any) -> None:
    await bench.engine.settle()


class TestRestart:
    async def test_the_first_answers_come_from_the_store(self, make_workbench: Callable[..., Any], start: int) -> None:
        before = make_workbench()
        trigger = before.register()
        await settled(before)
        await before.persistence.flush(now=before.clock.now)

        after = make_workbench()
        after.clock.now = start + 40.0
        after.source.error = SourceUnreachable("still starting")
        await after.engine.warm_start()
        stored = after.snapshot(trigger)
        assert (stored.observed, stored.observed_at, stored.outlook.forecaster) == (100.0, float(start), "naive")

        after.register()
        await settled(after)
        live = after.snapshot(trigger)
        assert (live.observed, live.observed_at, live.error) == (100.0, float(start), "still starting")
        assert live.outlook.origin == start  # from the stored history and the stored model: nothing was fitted
        assert after.fits.requests == []

    async def test_only_what_was_missed_is_fetched(self, make_workbench: Callable[..., Any], start: int) -> None:
        before = make_workbench()
        before.register()
        await settled(before)
        await before.persistence.flush(now=before.clock.now)
        after = make_workbench()
        after.clock.now = start + 600.0
        after.register()
        await settled(after)
        assert after.source.asked == [(start + 60, start + 600)]

    async def test_a_snapshot_of_another_version_is_passed_over(
        self, make_workbench: Callable[..., Any], start: int
    ) -> None:
        bench = make_workbench()
        bench.persistence.add_snapshot("shop/web/0", b"\x93not a snapshot")
        bench.persistence.add_snapshot("shop/web/1", b"\x93\xa1\xffx")  # a text that is none
        await bench.persistence.flush(now=start)
        await bench.engine.warm_start()
        assert bench.published == []


async def test_replicas_hold_the_same_forecast(make_workbench: Callable[..., Any], start: int) -> None:
    outlooks = []
    for late in (0, 7):
        bench = make_workbench()
        bench.clock.now = float(start + late)
        trigger = bench.register(historyTimeWindow="2d")
        await settled(bench)
        await bench.at(start + 10 * MINUTE - 1)
        outlooks.append(bench.snapshot(trigger).outlook)
    assert np.array_equal(outlooks[0].peak, outlooks[1].peak)
    assert outlooks[0].bands == outlooks[1].bands
