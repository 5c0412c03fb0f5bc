"""Forecasters that others bring: the engine never runs them; their forecasts are made by workers, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from forecasting.errors import InsufficientHistory, InvalidForecast, InvalidState
from forecasting.forecast import Forecast
from forecasting.registry import default_registry
from forecasting.serialise import dumps, stored_as
from scaler.engine.messages import About, Forecasted, ForecastRequest
from scaler.engine.outsiders import Outsider, about, bytes_of, forecast_here, forecast_of, held

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.series import TimeSeries

MINUTE = 60


@stored_as("steady/1")
@dataclass(frozen=True)
class FittedSteady:
    """As `naive`, but it looks at one sample only, and tells of itself."""

    explanation: str = "steady as she goes"

    @property
    def context_length(self) -> int:
        return 2

    def predict(self, context: TimeSeries, *, horizon: int, levels: Any) -> Forecast:
        flat = np.full((len(levels), horizon), np.nan_to_num(context.values[-1]))
        return Forecast(context.end, context.step, tuple(levels), flat, flat)


@stored_as("broken/1")
@dataclass(frozen=True)
class FittedBroken:
    context_length = 2

    def predict(self, *_: Any, **__: Any) -> Forecast:
        raise KeyError("nobody foresaw this")


@stored_as("ignorant/1")
@dataclass(frozen=True)
class FittedIgnorant:
    context_length = 2

    def predict(self, *_: Any, **__: Any) -> Forecast:
        raise InsufficientHistory("ignorant", have=1, need=2)


@dataclass(frozen=True)
class Steady:
    name = "steady"

    def min_history(self, step: int) -> int:
        return 0 * step + 1

    def fit(self, series: TimeSeries, *, horizon: int, levels: Any) -> FittedSteady:
        del series, horizon, levels
        return FittedSteady()


@pytest.fixture
def bench(make_workbench: Callable[..., Any]) -> Any:
    """An engine in whose environment `steady` is installed."""

    def registry() -> Any:
        known = default_registry()
        known.register(Steady)
        return known

    made = make_workbench()
    made.fits.registry = registry
    return made


async def test_a_plug_in_is_asked_in_a_worker_at_every_step(bench: Any, start: int) -> None:
    trigger = bench.register(forecaster="steady")
    await bench.engine.settle()
    await bench.at(start + 2 * MINUTE + 5)
    (series,) = bench.engine.series
    (model,) = series.models.values()
    assert isinstance(model.fitted, Outsider)
    snapshot = bench.snapshot(trigger)
    assert (snapshot.outlook.forecaster, snapshot.outlook.origin) == ("steady", start + 2 * MINUTE)
    assert snapshot.outlook.explanation == "steady as she goes"
    assert snapshot.outlook.peak[0] == pytest.approx(series.history.last(1).values[-1])
    assert {len(asked.values) // 8 for asked in bench.fits.asked} == {2}
    # once for each past, however often it is looked for
    ends = [asked.start + asked.step * 1 for asked in bench.fits.asked]
    assert ends == sorted(set(ends))


async def test_one_that_hangs_later_rests_and_is_stood_in_for(bench: Any, start: int) -> None:
    trigger = bench.register(forecaster="steady")
    await bench.engine.settle()
    bench.fits.lost_forecasts = {"steady": "steady gave no forecast within 30s"}
    await bench.at(start + 2 * MINUTE + 5)
    snapshot = bench.snapshot(trigger)
    assert snapshot.outlook.forecaster != "steady"
    assert snapshot.note == f"steady gave no forecast within 30s: {snapshot.outlook.forecaster} stands in"
    assert snapshot.observed_at > start + MINUTE


async def test_after_its_rest_it_is_back(bench: Any, start: int) -> None:
    trigger = bench.register(forecaster="steady")
    await bench.engine.settle()
    bench.fits.lost_forecasts = {"steady": "steady gave no forecast within 30s"}
    await bench.at(start + 2 * MINUTE)
    bench.fits.lost_forecasts = {}
    await bench.at(start + 15 * MINUTE)
    assert bench.snapshot(trigger).outlook.forecaster == "steady"
    assert bench.snapshot(trigger).note == ""


async def test_it_survives_a_restart_without_being_loaded(
    bench: Any, make_workbench: Callable[..., Any], start: int
) -> None:
    bench.register(forecaster="steady")
    await bench.engine.settle()
    await bench.persistence.flush(now=bench.clock.now)
    again = make_workbench()
    again.clock.now = start + MINUTE / 2
    again.fits.lost = {"steady": "not to be fitted"}
    trigger = again.register(forecaster="steady")
    await again.engine.settle()
    assert not again.fits.requests
    assert again.snapshot(trigger).outlook.forecaster == "steady"


def test_what_is_kept_by_another_version_is_fitted_anew() -> None:
    with pytest.raises(InvalidState, match=r"^what steady says of itself is missing: it was kept by another version$"):
        held("steady", b"bytes", None)


def test_a_plug_in_s_bytes_are_kept_as_they_are() -> None:
    told = About(7, "because", unpredictable=True)
    kept = held("steady", b"no bytes that could be loaded", told)
    assert kept == Outsider(
        data=b"no bytes that could be loaded", context_length=7, explanation="because", unpredictable=True
    )
    assert bytes_of(kept) == b"no bytes that could be loaded"


@pytest.mark.parametrize("length", [0, -1, True, 2.5, "7"])
def test_a_context_length_that_is_none(length: object) -> None:
    class Odd:
        context_length = length

    with pytest.raises(InvalidState) as caught:
        about("odd", Odd())  # type: ignore[arg-type]
    assert str(caught.value) == f"odd has the context_length {length!r}; it must be a whole number, 1 or more"


def asked_for(data: bytes, *, values: tuple[float, ...] = (3.0, 4.0)) -> ForecastRequest:
    encoded = np.array(values, dtype="<f8").tobytes()
    return ForecastRequest("steady", data, MINUTE, MINUTE, encoded, 3, [0.5, 0.9])


def test_a_forecast_comes_back_as_it_was_made() -> None:
    request = asked_for(dumps(FittedSteady()))
    found = forecast_of(request, forecast_here(request))
    assert (found.origin, found.step, found.levels, found.horizon) == (2 * MINUTE, MINUTE, (0.5, 0.9), 3)
    assert found.peak.tolist() == [[4.0] * 3] * 2


@pytest.mark.parametrize(
    ("data", "outcome", "failure"),
    [
        (b"\xc1", "unknown", "these bytes are not a fitted forecaster: "),
        (dumps(FittedSteady()), "wrong", "steady predicted a negative load: -4"),
        (dumps(FittedBroken()), "wrong", "steady failed to predict: KeyError: 'nobody foresaw this'"),
        (dumps(FittedIgnorant()), "none", "ignorant needs"),
    ],
)
def test_a_forecast_that_is_none_says_why(data: bytes, outcome: str, failure: str) -> None:
    done = forecast_here(asked_for(data, values=(3.0, -4.0)))
    assert done.outcome == outcome
    assert done.failure.startswith(failure)


def test_a_worker_that_sends_too_little_is_not_believed() -> None:
    with pytest.raises(InvalidForecast, match=r"^a worker sent a forecast of another shape than \(2, 3\)$"):
        forecast_of(asked_for(b""), Forecasted(outcome="made", values=b"\0" * 8, peak=b"\0" * 48))
