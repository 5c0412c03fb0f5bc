"""Sources, forecasters and jobs that fail: what the engine makes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from scaler.errors import QueryRejected, SourceUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


MINUTE, HOUR = 60, 3600


async def settled(bench: Any) -> None:
    await bench.engine.settle()


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
        assert (
            len(bench.engine._refresh._together._places) == 0
        )  # the bound of a source lives no longer than its requests
        assert len(bench.engine._timetable._heap) <= 4 * 100


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
