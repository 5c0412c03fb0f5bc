from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from forecasting.conformance import NotConforming, check_forecaster
from forecasting.errors import InsufficientHistory
from forecasting.forecast import Forecast
from forecasting.registry import default_registry
from forecasting.serialise import stored_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import TimeSeries


@pytest.mark.parametrize("name", default_registry().names())
@pytest.mark.parametrize(("step", "horizon", "days"), [(60, 10, 3), (300, 12, 8)])
def test_every_registered_forecaster_conforms(name: str, step: int, horizon: int, days: float) -> None:
    check_forecaster(default_registry().create(name), step=step, horizon=horizon, days=days)


@stored_as("test-careless/1")
@dataclass  # not frozen: one of its faults
class _Careless:
    """Breaks the contract in many ways."""

    context_length: int = 5
    calls: list[int] = field(default_factory=list)

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        self.calls.append(1)
        values = np.full((len(levels), min(horizon, 30)), np.nanmean(context.values) + len(self.calls))
        return Forecast.of(origin=0, step=context.step, levels=levels, values=values, peak=values)


@dataclass(frozen=True)
class Careless:
    name: ClassVar[str] = "careless"

    def min_history(self, step: int) -> int:
        del step
        return 20

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> _Careless:
        del series, horizon, levels
        return _Careless()


def test_all_faults_are_listed_together() -> None:
    with pytest.raises(NotConforming) as caught:
        check_forecaster(Careless())
    text = str(caught.value)
    assert text.startswith(f"forecaster 'careless' breaks its contract in {len(caught.value.failures)} ways:\n")
    faults = {failure.split(":")[0]: failure.split(": ", 1)[1] for failure in caught.value.failures}
    assert faults["contract"] == "origin is 0, not the time of the context's last sample, 1700697540"
    assert faults["levels and horizons not fitted for"].startswith("asked for 5 levels and 31 steps, got shape")
    assert faults["context_length"] == "samples before the last 5, its context_length, change the forecast"
    assert faults["determinism"] == "the same call gave another forecast the second time"
    assert faults["another step"] == "a context on another step than the fitted one must raise InvalidSeries"
    assert faults["immutability"] == ("its field 'context_length' can be assigned to: make it a frozen dataclass")
    assert faults["short history"] == "min_history is 20, but 0 samples do not raise InsufficientHistory"


def test_what_is_no_forecaster_is_refused() -> None:
    with pytest.raises(NotConforming) as caught:
        check_forecaster(object())  # type: ignore[arg-type]  # that is the point
    assert caught.value.failures == ("it has no name, min_history and fit",)


@dataclass(frozen=True)
class Refusing:
    name: ClassVar[str] = "refusing"

    def min_history(self, step: int) -> int:
        return step

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> _Careless:
        del horizon, levels
        raise InsufficientHistory(self.name, have=series.known, need=10**6)


def test_a_fit_that_raises_on_an_ordinary_series_is_the_finding() -> None:
    with pytest.raises(NotConforming) as caught:
        check_forecaster(Refusing())
    needs = "refusing needs 1000000 known samples of history, this series has 11520"
    assert caught.value.failures == (f"an ordinary series: fit raised InsufficientHistory: {needs}",)
