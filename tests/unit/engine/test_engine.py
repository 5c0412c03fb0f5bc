"""The engine's life with its triggers: first sight, steps, faults, sharing, eviction, restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from forecasting.errors import InsufficientHistory
from scaler.engine.messages import Evicted, FitDone, Refused, Update
from scaler.errors import AddressRefused, QueryRejected, SourceUnreachable

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
        assert bench.source.asked == [(start - 2 * DAY, start)]

    async def test_the_outlook_covers_the_window_until_it_is_too_old(self, bench: Any) -> None:
        trigger = bench.register(leadTime="3m", quantile="0.95")
        await settled(bench)
        outlook = bench.snapshot(trigger).outlook
        assert len(outlook.peak) == 8  # (180 s lead + 45 s asking + 240 s of age) / 60 s
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
        assert snapshot.note == "the first fit is under way"

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


class TestFaults:
    async def test_a_failing_source_leaves_the_last_load_and_says_why(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        bench.source.error = SourceUnreachable("http://prometheus:9090 refused the connection")
        await bench.at(start + 90)
        snapshot = bench.snapshot(trigger)
        assert (snapshot.observed, snapshot.observed_at) == (100.0, float(start))
        assert snapshot.error == "http://prometheus:9090 refused the connection"
        assert snapshot.outlook is not None

    async def test_after_an_outage_the_missing_steps_are_fetched(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        bench.source.error = SourceUnreachable("gone")
        await bench.at(start + HOUR)
        bench.source.error = None
        await bench.at(start + HOUR + 90)
        assert (start + MINUTE, start + HOUR) in bench.source.asked
        snapshot = bench.snapshot(trigger)
        assert (snapshot.error, snapshot.outlook.origin) == ("", start + HOUR + MINUTE)

    async def test_a_forecaster_that_never_comes_back_is_stood_in_for(self, bench: Any) -> None:
        bench.fits.lost = {"ets": "ets did not finish within 2m"}
        trigger = bench.register(forecaster="ets")
        await settled(bench)
        snapshot = bench.snapshot(trigger)
        assert snapshot.outlook.forecaster != "ets"
        assert snapshot.note == f"ets did not finish within 2m: {snapshot.outlook.forecaster} stands in"

    async def test_an_unknown_forecaster_is_stood_in_for_and_named(self, bench: Any) -> None:
        trigger = bench.register(forecaster="arimaa")
        await settled(bench)
        snapshot = bench.snapshot(trigger)
        assert snapshot.outlook is not None
        assert "arimaa" in snapshot.note

    async def test_a_model_that_raises_rests_and_is_stood_in_for(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)

        class Broken:
            context_length = 1

            def predict(self, *_: Any, **__: Any) -> None:
                raise ZeroDivisionError("division by zero")

        (series,) = bench.engine.series
        (model,) = series.models.values()
        model.fitted = Broken()
        await bench.at(start + 2 * MINUTE)
        assert bench.snapshot(trigger).note.startswith("naive failed to predict: ZeroDivisionError: division by zero")
        assert bench.snapshot(trigger).outlook.forecaster != "naive"


class TestStruggles:
    """A source that answers some questions and not others, or none for long."""

    async def test_a_past_that_is_refused_is_asked_for_ever_less_often(self, bench: Any, start: int) -> None:
        async def refuse(*_: Any, **__: Any) -> None:
            bench.source.asked.append((0, 0))
            raise QueryRejected("the query would load too many samples")

        bench.source.range = refuse
        trigger = bench.register()
        await settled(bench)
        await bench.at(start + HOUR)
        assert 12 <= len(bench.source.asked) <= 18
        snapshot = bench.snapshot(trigger)
        assert (snapshot.observed_at > start + HOUR - 20, snapshot.error) == (True, "")
        assert snapshot.note == "the past cannot be fetched: the query would load too many samples"

    async def test_a_source_that_is_back_is_asked_for_the_past_at_once(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        bench.source.error = SourceUnreachable("gone")
        await bench.at(start + HOUR)
        bench.source.error = None
        await bench.at(start + HOUR + 16)
        assert bench.snapshot(trigger).outlook.origin == start + HOUR

    async def test_the_series_of_a_dead_source_wait_for_few_places(
        self, make_workbench: Callable[..., Any], start: int
    ) -> None:
        bench = make_workbench(source_concurrency=4, max_triggers=2000)
        at_once = most = 0

        async def hang(*_: Any, **__: Any) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1
            raise SourceUnreachable("no answer within 10s")

        bench.source.instant = bench.source.range = hang
        for n in range(100):
            bench.register(query=f"q{n}")
        await settled(bench)
        await bench.at(start + 5 * MINUTE)
        assert most == 4
        assert len(bench.engine._refresh._places) == 0  # the bound of a source lives no longer than its requests
        assert len(bench.engine._timetable._heap) <= 4 * 100


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
            "this server already keeps 1 trigger, its setting max_triggers: "
            "raise it, or run another release of the scaler for some namespaces"
        )


class TestSharing:
    async def test_triggers_of_one_query_share_source_history_and_model(self, bench: Any) -> None:
        one = bench.register("one", quantile="0.9")
        two = bench.register("two", quantile="0.99", threshold="20")
        await settled(bench)
        assert len(bench.opened) == 1
        assert (bench.engine.series_count, bench.engine.trigger_count) == (1, 2)
        assert bench.snapshot(one).series == bench.snapshot(two).series
        assert bench.snapshot(one).outlook.peak[0] <= bench.snapshot(two).outlook.peak[0]

    async def test_a_late_comer_gets_its_forecast_at_once(self, bench: Any) -> None:
        bench.register("one")
        await settled(bench)
        late = bench.register("late", forecaster="seasonal-naive", leadTime="30m")
        await settled(bench)
        assert len(bench.opened) == 1
        assert bench.snapshot(late).outlook.forecaster == "seasonal-naive"
        assert len(bench.snapshot(late).outlook.peak) == 35

    async def test_a_late_comer_that_looks_back_further_gets_its_past(self, bench: Any, start: int) -> None:
        bench.register("one", historyTimeWindow="1d")
        await settled(bench)
        late = bench.register("late", historyTimeWindow="3d")
        await settled(bench)
        assert bench.source.asked == [(start - DAY, start), (start - 3 * DAY, start)]
        (series,) = bench.engine.series
        assert series.history.last().start == start - 3 * DAY
        assert series.history.last().known == 3 * DAY // MINUTE + 1
        assert bench.snapshot(late).outlook is not None
        await bench.at(start + 2 * MINUTE)
        assert bench.source.asked[2:] == [(start + MINUTE, start + MINUTE)]

    async def test_the_further_past_is_asked_for_until_the_source_gives_it(self, bench: Any, start: int) -> None:
        bench.register("one", historyTimeWindow="1d")
        await settled(bench)
        bench.source.error = SourceUnreachable("gone")
        bench.register("late", historyTimeWindow="3d")
        await settled(bench)
        bench.source.error = None
        await bench.at(start + 3 * MINUTE)
        (series,) = bench.engine.series
        assert series.history.last().known >= 3 * DAY // MINUTE

    async def test_a_source_without_a_further_past_is_asked_for_it_once(self, bench: Any, start: int) -> None:
        bench.source.begins = start - HOUR
        bench.register("one", historyTimeWindow="1d")
        await settled(bench)
        await bench.at(start + 3 * MINUTE - 1)
        assert [first for first, _ in bench.source.asked] == [start - DAY, start + 60, start + 120]

    async def test_another_step_is_another_series(self, bench: Any) -> None:
        bench.register("one")
        bench.register("two", queryStep="5m")
        await settled(bench)
        assert bench.engine.series_count == 2


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


class TestRefits:
    async def test_a_refit_that_comes_to_nothing_is_tried_again_in_an_hour(
        self, make_workbench: Callable[..., Any], start: int
    ) -> None:
        bench = make_workbench(observe_interval=600.0)
        trigger = bench.register(queryStep="10m")
        await settled(bench)
        requests = len(bench.fits.requests)

        async def fail(request: Any, *, priority: int) -> FitDone:
            del priority
            bench.fits.requests.append(request())
            return FitDone(-1, b"", ["naive: nothing helps"], 0.0)

        bench.fits.fit = fail
        refit = bench.settings.refit_every
        bench.engine.called([trigger])
        await bench.at(start + refit + 30 * MINUTE)
        assert len(bench.fits.requests) == requests + 1
        assert bench.snapshot(trigger).outlook.forecaster == "naive"
        await bench.at(start + refit + 2.5 * HOUR)
        assert len(bench.fits.requests) == requests + 3

    async def test_a_forecast_that_fails_says_why(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)

        class Picky:
            context_length = 1

            def predict(self, *_: Any, **__: Any) -> None:
                raise InsufficientHistory("naive", have=0, need=1)

        (series,) = bench.engine.series
        (model,) = series.models.values()
        model.fitted = Picky()
        await bench.at(start + 2 * MINUTE)
        assert (bench.snapshot(trigger).outlook, bench.snapshot(trigger).note) == (
            None,
            "naive needs 1 known samples of history, this series has 0",
        )


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
        await bench.persistence.flush(now=start)
        await bench.engine.warm_start()
        assert bench.published == []


async def test_a_bug_in_one_job_ends_no_other(bench: Any, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = bench.register()
    await settled(bench)
    good = bench.source.instant
    calls = 0

    async def buggy(query: str) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyError("nobody foresaw this")
        return await good(query)

    monkeypatch.setattr(bench.source, "instant", buggy)
    await bench.at(start + 60)
    assert calls >= 3
    assert bench.snapshot(trigger).observed_at > start


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
