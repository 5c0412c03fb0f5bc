"""The engine's life with its triggers: first sight, steps, refusals, housekeeping, a clock that is set."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from scaler.engine.messages import Refused, Update
from scaler.errors import AddressRefused

if TYPE_CHECKING:
    from collections.abc import Callable


MINUTE, HOUR, DAY = 60, 3600, 86400


async def settled(bench: Any) -> None:
    await bench.engine.settle()


class TestRegistering:
    async def test_a_trigger_registered_again_is_told_of_again(self, bench: Any) -> None:
        trigger = bench.register()
        await settled(bench)
        bench.published.clear()
        bench.register()  # by an edge that was started anew, say
        await asyncio.sleep(0)  # what is told goes at the end of the loop's turn
        assert bench.snapshot(trigger).outlook is not None
        assert bench.engine.trigger_count == 1


class TestFirstSight:
    async def test_the_load_comes_first_then_the_past_then_a_forecast(self, bench: Any) -> None:
        trigger = bench.register()
        await settled(bench)
        first = next(message for message in bench.published if isinstance(message, Update)).snapshots[0]
        assert (first.observed, first.outlook) == (bench.source.load(bench.clock.now), None)
        last = bench.snapshot(trigger)
        assert last.outlook is not None
        assert (last.outlook.forecaster, last.outlook.origin, last.outlook.step) == ("naive", bench.clock.now, 60)
        assert last.note == ""

    async def test_the_past_is_asked_for_once_and_whole(self, bench: Any, start: int) -> None:
        bench.register(historyTimeWindow="2d")
        await settled(bench)
        assert bench.source.asked == [(start - 2 * DAY - 18 * HOUR, start)]  # a window, and what comes between two fits

    async def test_the_outlook_covers_the_window_until_it_is_too_old(self, bench: Any) -> None:
        trigger = bench.register(leadTime="3m", quantile="0.95")
        await settled(bench)
        outlook = bench.snapshot(trigger).outlook
        assert len(outlook.peak) == 11  # (180 s lead + 45 s asking + 180 s margin + 240 s of age) / 60 s
        assert outlook.quantile == 0.95
        assert set(outlook.bands) == {"0.5", "0.9", "0.95", "0.99"}
        assert outlook.highest == pytest.approx(150.0)
        assert list(outlook.peak) == sorted(outlook.peak)

    async def test_a_source_that_knows_no_past_still_tells_the_load(self, bench: Any, start: int) -> None:
        bench.source.begins = start + 1
        trigger = bench.register()
        await settled(bench)
        snapshot = bench.snapshot(trigger)
        assert (snapshot.observed, snapshot.outlook) == (100.0, None)
        assert snapshot.note == "no past of the load is known yet"

    async def test_a_query_that_follows_the_replicas_is_warned_of(self, bench: Any) -> None:
        trigger = bench.register(query="avg(load)")
        await settled(bench)
        assert "avg" in bench.snapshot(trigger).warning
        quiet = bench.register("api", query="sum(load)")
        await settled(bench)
        assert bench.snapshot(quiet).warning == ""


class TestSteps:
    async def test_only_what_is_new_is_asked_for(self, bench: Any, start: int) -> None:
        bench.register()
        await settled(bench)
        bench.source.asked.clear()
        await bench.at(start + 3 * MINUTE - 1)
        assert bench.source.asked == [(start + 60, start + 60), (start + 120, start + 120)]

    async def test_every_step_brings_a_forecast_from_its_end(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        await bench.at(start + 3 * MINUTE - 1)
        assert bench.snapshot(trigger).outlook.origin == start + 2 * MINUTE

    async def test_the_load_is_looked_at_every_15_seconds(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        before = len(bench.published)
        await bench.at(start + 30)
        looks = {m.snapshots[0].observed_at for m in bench.published[before:]}
        assert len(looks) == 2
        assert bench.snapshot(trigger).observed == bench.source.load(max(looks))

    async def test_samples_that_are_late_are_asked_for_again(self, bench: Any, start: int) -> None:
        bench.register()
        await settled(bench)
        bench.source.asked.clear()
        good = bench.source.load
        bench.source.load = lambda t: good(t) if t <= start else float("nan")
        await bench.at(start + 2 * MINUTE - 1)
        bench.source.load = good
        await bench.at(start + 3 * MINUTE - 1)
        assert bench.source.asked[-1] == (start + 60, start + 120)


class TestRefusals:
    async def test_bad_metadata(self, bench: Any) -> None:
        bench.engine.register(trigger_id="shop/web/0", namespace="shop", name="web", metadata={})
        (refused,) = bench.published
        assert isinstance(refused, Refused)
        assert (refused.trigger, refused.refusal.error) == ("shop/web/0", "InvalidTrigger")

    async def test_an_unknown_named_source(self, bench: Any) -> None:
        metadata = {"source": "main", "query": "q", "threshold": "1"}
        bench.engine.register(trigger_id="shop/web/0", namespace="shop", name="web", metadata=metadata)
        (refused,) = bench.published
        assert refused.refusal.error == "InvalidTrigger"
        assert 'source is "main"' in refused.refusal.text

    async def test_a_refused_address(self, bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: object) -> None:
            raise AddressRefused("no")

        monkeypatch.setattr(bench.engine, "_open_source", refuse)
        trigger = bench.register()
        (refused,) = bench.published
        assert (refused.trigger, refused.refusal.error, refused.refusal.text) == (trigger, "AddressRefused", "no")

    async def test_what_nobody_foresaw_in_one_trigger_ends_no_other(
        self, bench: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: object) -> None:
            raise OSError("secret/path: no such file")

        monkeypatch.setattr(bench.engine, "_open_source", broken)
        trigger = bench.register()
        (refused,) = bench.published
        assert (refused.trigger, refused.refusal.error) == (trigger, "ValueUnknown")
        assert refused.refusal.text == "the trigger cannot be taken up: OSError, see the server's log"
        assert bench.engine.trigger_count == 0

    async def test_too_many_triggers(self, make_workbench: Callable[..., Any]) -> None:
        bench = make_workbench(max_triggers=1)
        bench.register("one")
        trigger = bench.register("two")
        refused = next(message for message in bench.published if isinstance(message, Refused))
        assert refused.trigger == trigger
        assert refused.refusal.text == (
            "this server already keeps 1 trigger, its setting max_triggers, and all were called "
            "within the last minute: raise it, or run another release of the scaler for some namespaces"
        )


class TestHousekeeping:
    async def test_what_is_older_than_its_retention_is_forgotten(
        self, make_workbench: Callable[..., Any], start: int
    ) -> None:
        bench = make_workbench(history_retention=float(2 * DAY), observe_interval=3600.0, idle_after=1e9)
        trigger = bench.register(queryStep="1h", historyTimeWindow="7d")
        await settled(bench)
        bench.engine.housekeep()
        await bench.at(start + 10)
        (series,) = bench.engine.series
        kept = await bench.persistence.history(series.id, step=3600, since=0)
        assert len(kept) > 160
        await bench.at(start + 2 * HOUR)
        kept = await bench.persistence.history(series.id, step=3600, since=0)
        assert 48 <= len(kept) < 48 + 62  # by whole blocks
        assert bench.engine.trigger_count == 1
        assert trigger

    async def test_a_bug_in_the_housekeeping_is_no_end_of_it(self, bench: Any, start: int) -> None:
        bench.register()
        await settled(bench)
        flush, calls = bench.persistence.flush, 0

        async def buggy(*, now: float) -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise KeyError("nobody foresaw this")
            await flush(now=now)

        bench.persistence.flush = buggy
        bench.engine.housekeep()
        await bench.at(start + 60)
        assert calls > 1


class TestClockSteps:
    async def test_a_clock_set_ahead_makes_nobody_idle(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        bench.engine.housekeep()
        bench.clock.set(HOUR)
        await bench.at(start + HOUR + MINUTE)
        assert bench.engine.trigger_count == 1
        assert bench.snapshot(trigger).observed_at > start + HOUR

    async def test_a_clock_set_back_stops_nothing(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        bench.engine.housekeep()
        await bench.at(start + MINUTE)
        bench.clock.set(-HOUR)
        bench.engine.start_due()  # the loop looks every few seconds, whatever is due
        assert bench.engine.next_due() <= start + MINUTE - HOUR + 2
        await bench.at(start - HOUR + 2 * MINUTE)
        assert start - HOUR + 90 < bench.snapshot(trigger).observed_at <= start - HOUR + 2 * MINUTE
        assert bench.engine.trigger_count == 1

    async def test_what_a_clock_set_ahead_had_learned_of_the_future_is_forgotten(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        bench.engine.housekeep()
        bench.clock.set(HOUR)  # the source answers for any time, as a query with `or vector(0)` does
        await bench.at(start + HOUR + 2 * MINUTE)
        assert bench.snapshot(trigger).outlook.origin == start + HOUR + MINUTE
        bench.clock.set(-HOUR)
        bench.engine.start_due()
        await bench.at(start + 4 * MINUTE)
        (series,) = bench.engine.series
        assert bench.snapshot(trigger).outlook.origin == series.history.end == start + 3 * MINUTE
        (state,) = series.triggers.values()
        assert max(one.origin for one in state.gate.open) == start + 3 * MINUTE


class TestLoop:
    """`run` itself, by the real clock of the event loop."""

    async def test_it_runs_what_is_due_and_ends_what_is_under_way(self, make_workbench: Callable[..., Any]) -> None:
        bench = make_workbench()
        running = asyncio.create_task(bench.engine.run())
        trigger = bench.register()
        await settled(bench)
        assert bench.snapshot(trigger).outlook is not None
        never, started = asyncio.Event(), asyncio.Event()

        async def hang(_: str) -> None:
            started.set()
            await never.wait()

        bench.source.instant = hang
        bench.clock.now += 16.0
        bench.engine._woken.set()
        await started.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not bench.engine._running
