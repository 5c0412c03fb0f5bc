"""When models are fitted again, and to what."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from forecasting.errors import InsufficientHistory, InvalidState
from forecasting.prepare.calendar import Holidays
from forecasting.registry import default_registry
from forecasting.series import TimeSeries
from scaler.decision.lead_time import LeadTime
from scaler.engine.fits import Priority
from scaler.engine.messages import FitDone
from scaler.engine.worker import climb

if TYPE_CHECKING:
    from collections.abc import Callable


MINUTE, HOUR, DAY = 60, 3600, 86400


async def settled(bench: Any) -> None:
    await bench.engine.settle()


class TestRefits:
    async def test_a_refit_that_comes_to_nothing_is_tried_again_with_other_samples(
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
        bench.engine.called([trigger])
        await bench.at(start + 6 * HOUR)
        assert len(bench.fits.requests) == requests + 1  # the period between two fits is 6 h, wherever it begins
        assert bench.snapshot(trigger).outlook.forecaster == "naive"
        await bench.at(start + 12 * HOUR)
        assert len(bench.fits.requests) == requests + 2

    async def test_what_hung_is_tried_again_with_the_same_samples_when_it_has_rested(
        self, make_workbench: Callable[..., Any], start: int
    ) -> None:
        bench = make_workbench(idle_after=float(DAY))
        bench.fits.lost = {"ets": "ets did not finish within 2m"}
        trigger = bench.register(forecaster="ets", query="elsewhere")
        await settled(bench)
        (asked, stood_in) = bench.fits.requests
        assert [rung.forecaster for rung in stood_in.ladder] == ["seasonal-profile", "seasonal-naive"]
        bench.fits.lost = {}
        await bench.at(start + 9 * MINUTE)
        assert len(bench.fits.requests) == 2
        await bench.at(start + 11 * MINUTE + 20)
        assert bench.fits.requests[2] == asked
        assert (bench.snapshot(trigger).outlook.forecaster, bench.snapshot(trigger).note) == ("ets", "")

    async def test_a_young_series_is_fitted_soon_and_then_less_often(self, bench: Any, start: int) -> None:
        bench.source.begins = start - 9 * MINUTE
        trigger = bench.register()
        await settled(bench)

        def ends() -> list[int]:
            sizes = [(request.start, len(request.values) // 8) for request in bench.fits.requests]
            return [(first - start) // MINUTE + size - 1 for first, size in sizes]

        assert ends() == [0]
        for minute in range(1, 90):
            bench.engine.called([trigger])
            await bench.at(start + minute * MINUTE + 30)
        assert bench.snapshot(trigger).outlook.forecaster == "naive"
        later = [after - before for before, after in zip(ends(), ends()[1:], strict=False)]
        assert sorted(later) == later
        assert set(later) == {1, 2, 4, 8}

    async def test_another_lead_time_is_another_fit_and_no_gap(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)
        (series,) = bench.engine.series
        state = series.triggers[trigger]
        state.lead_time = LeadTime(600.0, "measured")
        bench.engine._modelling.forecast(series)
        assert len(bench.fits.requests) == 1
        (model,) = series.models.values()
        assert model.forecast is not None
        assert model.forecast.horizon == 18
        await bench.at(start + 2 * MINUTE)
        assert [request.horizon for request in bench.fits.requests] == [11, 18]

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

    async def test_a_model_with_a_part_of_another_version_is_fitted_anew(self, bench: Any, start: int) -> None:
        trigger = bench.register()
        await settled(bench)

        class Older:
            context_length = 1

            def predict(self, *_: Any, **__: Any) -> None:
                raise InvalidState("no fitted forecaster is stored as 'part/1' in this version")

        (series,) = bench.engine.series
        (model,) = series.models.values()
        model.fitted = Older()
        bench.fits.requests.clear()
        bench.fits.priorities.clear()
        await bench.at(start + 2 * MINUTE)
        (request,) = bench.fits.requests
        assert (request.known, bench.fits.priorities) == (b"", [Priority.NEW])
        assert bench.snapshot(trigger).outlook.origin == start + MINUTE
        assert bench.snapshot(trigger).note == ""

    async def test_a_model_that_cannot_be_read_for_its_test_keeps_nobody_from_fitting_the_next(
        self, bench: Any
    ) -> None:
        bench.register()
        await settled(bench)
        (request,) = bench.fits.requests
        known = msgspec.structs.replace(request, tested=10, known=b"of another version")
        *_, done = climb(known, default_registry())
        assert isinstance(done, FitDone)
        assert (done.rung, done.failures, done.ranks) == (0, [], b"")


class TestTimeZone:
    """A method that follows clocks is told whose."""

    async def test_the_triggers_zone_is_that_of_its_model(self, make_workbench: Callable[..., Any]) -> None:
        bench = make_workbench()
        given = {"forecaster": "seasonal-profile", "queryStep": "5m", "historyTimeWindow": "3d"}
        here = bench.register("here", timeZone="Europe/Berlin", **given)
        there = bench.register("there", **given)
        stated = bench.register("stated", timeZone="Europe/Berlin", **{**given, "forecaster.timezone": "Asia/Tokyo"})
        other = bench.register("other", timeZone="Europe/Berlin", **{**given, "forecaster": "seasonal-naive"})
        await settled(bench)
        (series,) = bench.engine.series
        zones = {
            trigger: getattr(getattr(series.models[state.model_key].fitted, "design", None), "zone", "none")
            for trigger, state in series.triggers.items()
        }
        assert zones == {here: "Europe/Berlin", there: "UTC", stated: "Asia/Tokyo", other: "none"}
        assert all(bench.snapshot(trigger).note == "" for trigger in zones)

    async def test_the_triggers_holidays_are_those_of_its_model(self, make_workbench: Callable[..., Any]) -> None:
        bench = make_workbench()
        given = {"forecaster": "seasonal-profile", "queryStep": "5m", "historyTimeWindow": "3d", "holidays": "JP"}
        here = bench.register("here", **given)
        stated = bench.register("stated", **{**given, "forecaster.holidays": "FR"})
        other = bench.register("other", **{**given, "forecaster": "seasonal-naive"})
        await settled(bench)
        (series,) = bench.engine.series
        known = {
            trigger: getattr(getattr(series.models[state.model_key].fitted, "design", None), "holidays", None)
            for trigger, state in series.triggers.items()
        }
        (end,) = {model.trained for model in series.models.values()}
        past = TimeSeries(end - 3 * 86400, 300, np.zeros(3 * 288 + 1))
        assert known == {
            here: Holidays.around("JP", past, zone="UTC"),
            stated: Holidays.around("FR", past, zone="UTC"),
            other: None,
        }
        assert known[here].days != known[stated].days
        assert all(bench.snapshot(trigger).note == "" for trigger in known)


class TestLevelShifts:
    """A lasting change of level is told, and what is observed stays what it was."""

    async def test_a_model_is_fitted_to_the_past_at_the_level_of_today(
        self, make_workbench: Callable[..., Any], start: int
    ) -> None:
        bench, usual = make_workbench(), make_workbench().source.load
        changed = start - 12 * HOUR
        bench.source.load = lambda time: usual(time) * (3.0 if time >= changed else 1.0)
        given = {"forecaster": "seasonal-naive", "queryStep": "10m", "historyTimeWindow": "12d"}
        trigger = bench.register(**given)
        await settled(bench)
        snapshot = bench.snapshot(trigger)
        assert snapshot.note == ""
        assert snapshot.outlook.explanation == "level x3.00 since 2023-11-14 12:00 UTC: earlier history scaled"
        assert snapshot.observed == 300.0
        # what was usual at these times yesterday, at the level of today
        assert snapshot.outlook.bands["0.5"] == pytest.approx(3.0 * usual(snapshot.outlook.origin + 600), rel=1e-6)
        (series,) = bench.engine.series
        before = series.history.last().until(changed - 600)
        assert np.nanmax(before.values) == 150.0  # as it was observed


SHORTFALL = {"forecaster": "seasonal-naive", "queryStep": "5m", "historyTimeWindow": "3d", "threshold": "5"}


class TestShortfall:
    """`sloShortfall`: the quantile is chosen with each fit."""

    async def test_the_quantile_is_chosen_with_the_fit_told_and_kept(self, make_workbench: Callable[..., Any]) -> None:
        def rough(time: float) -> float:
            return 100.0 + 40.0 * math.sin(0.7 * time)

        first = make_workbench()
        first.source.load = rough
        strict = first.register("strict", sloShortfall="0%", headroom="1", **SHORTFALL)
        loose = first.register("loose", sloShortfall="50%", headroom="1", **SHORTFALL)
        given = first.register("given", quantile="0.95", **SHORTFALL)
        await settled(first)
        outlooks = [first.snapshot(trigger).outlook for trigger in (strict, loose, given)]
        assert [outlook.quantile for outlook in outlooks[1:]] == [0.5, 0.95]
        assert outlooks[0].quantile > 0.5
        assert outlooks[1].choice.startswith("the 0.5-quantile, chosen by replaying the last ")
        assert outlooks[2].choice == ""
        assert len(first.fits.requests) == 3
        assert outlooks[0].peak > outlooks[1].peak

        second = make_workbench()
        second.source.load = rough
        second.register("strict", sloShortfall="0%", headroom="1", **SHORTFALL)
        await settled(second)
        assert second.fits.requests == []
        assert second.snapshot(strict).outlook == outlooks[0]

    async def test_the_next_choice_starts_from_this_one(self, make_workbench: Callable[..., Any], start: int) -> None:
        bench = make_workbench(idle_after=float(DAY))
        trigger = bench.register(sloShortfall="0%", headroom="1", **SHORTFALL)
        await settled(bench)
        quantile = bench.snapshot(trigger).outlook.quantile
        await bench.at(start + 6 * HOUR)
        assert [request.before for request in bench.fits.requests] == [None, quantile]

    async def test_until_the_first_choice_it_is_the_usual_quantile(self, bench: Any, start: int) -> None:
        bench.source.begins = start - HOUR
        trigger = bench.register(sloShortfall="0.1%", historyTimeWindow="3d")
        await settled(bench)
        outlook = bench.snapshot(trigger).outlook
        assert (outlook.quantile, outlook.choice) == (0.9, "")
