"""Triggers of one query share a series; triggers that are alike share a model."""

from __future__ import annotations

from typing import Any

from scaler.errors import SourceUnreachable

MINUTE, HOUR, DAY = 60, 3600, 86400


async def settled(bench: Any) -> None:
    await bench.engine.settle()


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
        assert len(bench.snapshot(late).outlook.peak) == 38

    async def test_a_late_comer_keeps_its_forecast_when_one_made_without_it_is_done(self, bench: Any) -> None:
        one = bench.register("one", quantile="0.9")
        await settled(bench)
        (series,), modelling, late = bench.engine.series, bench.engine._modelling, list[str]()
        (model,) = series.models.values()
        before, compute = model.forecast, modelling._aside.run

        async def run(asked: Any) -> Any:
            found = await compute(asked)
            late.append(bench.register("late", quantile="0.7"))
            return found

        modelling._aside.run = run
        await modelling.forecast_aside(series)
        assert model.forecast is not before
        assert set(model.forecast.levels) > set(before.levels)  # the late one's, too
        await settled(bench)
        assert [bench.snapshot(name).outlook is None for name in (one, *late)] == [False, False]

    async def test_a_late_comer_that_looks_back_further_gets_its_past(self, bench: Any, start: int) -> None:
        bench.register("one", historyTimeWindow="1d")
        await settled(bench)
        late = bench.register("late", historyTimeWindow="3d")
        await settled(bench)
        first, further = start - DAY - 18 * HOUR, start - 3 * DAY - 18 * HOUR
        assert bench.source.asked == [(first, start), (further, first - MINUTE)]  # only what is not there
        (series,) = bench.engine.series
        assert series.history.last().start == start - 3 * DAY - 18 * HOUR
        assert series.history.last().known == (3 * DAY + 18 * HOUR) // MINUTE + 1
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
        assert [first for first, _ in bench.source.asked] == [start - DAY - 18 * HOUR, start + 60, start + 120]

    async def test_another_step_is_another_series(self, bench: Any) -> None:
        bench.register("one")
        bench.register("two", queryStep="5m")
        await settled(bench)
        assert bench.engine.series_count == 2
