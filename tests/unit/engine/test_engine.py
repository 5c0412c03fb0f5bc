"""The engine's life with its triggers: first sight, steps, faults, sharing, eviction, restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scaler.engine.messages import Evicted, Refused, Update
from scaler.errors import AddressRefused, SourceUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE, HOUR, DAY = 60, 3600, 86400


async def settled(bench: Any) -> None:
    await bench.engine.settle()


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
