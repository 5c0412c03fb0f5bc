"""No series, however odd, yields a forecast that is not finite, negative or incoherent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.batch import predict_many
from forecasting.errors import FitFailed, InsufficientHistory
from forecasting.forecast import Forecast
from forecasting.registry import default_registry
from forecasting.serialise import dumps, loads
from forecasting.series import FloatArray, TimeSeries

if TYPE_CHECKING:
    from forecasting.forecaster import FittedForecaster

_NAMES = default_registry().names()
_SETTINGS = settings(
    max_examples=40,
    deadline=None,  # the first fit imports
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
_SAMPLES = st.one_of(
    st.just(float("nan")),
    st.just(0.0),
    st.floats(allow_nan=True, allow_infinity=False),
    st.floats(min_value=0, max_value=1e4),
)


@st.composite
def _odd(draw: st.DrawFn) -> FloatArray:
    """An ordinary series of up to 900 samples, stretched, shifted, with odd pieces put in."""
    n = draw(st.integers(0, 900))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    period = draw(st.integers(2, 400))
    values = np.abs(np.sin(2 * np.pi * np.arange(n) / period) * 50 + random.normal(50, 10, n))
    values = values * draw(st.sampled_from([0.0, 1e-310, 1e-9, 1.0, 1e12, 1e306]))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, n - 1)))
        odd = draw(arrays(np.float64, st.integers(1, 60), elements=_SAMPLES))
        values[at : at + odd.size] = odd[: max(0, n - at)]
    return values


def _fitted(name: str, series: TimeSeries) -> FittedForecaster | None:
    try:
        return default_registry().create(name).fit(series, horizon=10, levels=(0.5, 0.9))
    except (InsufficientHistory, FitFailed):
        return None


@pytest.fixture(scope="module", params=_NAMES)
def model(request: pytest.FixtureRequest) -> FittedForecaster:
    """One fitted to an ordinary series."""
    random = np.random.default_rng(0)
    values = 100 + 50 * np.sin(2 * np.pi * np.arange(1500) / 288) + random.normal(0, 5, 1500)
    fitted = _fitted(request.param, TimeSeries(0, 300, values))
    assert fitted is not None
    return fitted


@_SETTINGS
@pytest.mark.parametrize("name", _NAMES)
@given(values=_odd())
def test_fitting_to_and_predicting_from_odd_series(name: str, values: FloatArray) -> None:
    series = TimeSeries(0, 300, values)
    fitted = _fitted(name, series)
    if fitted is None:
        return
    try:
        forecast = fitted.predict(series, horizon=14, levels=(0.001, 0.5, 0.9, 0.9999))
    except InsufficientHistory:
        return
    # Forecast itself checks that all is finite, ordered, and the peak above the values
    assert isinstance(forecast, Forecast)
    assert (forecast.values >= 0).all()
    assert loads(dumps(fitted)).predict(series, horizon=14, levels=forecast.levels) == forecast


@_SETTINGS
@given(values=_odd(), horizon=st.integers(1, 80), level=st.floats(1e-9, 1 - 1e-9))
def test_predicting_from_odd_contexts(model: FittedForecaster, values: FloatArray, horizon: int, level: float) -> None:
    try:
        forecast = model.predict(TimeSeries(300_000, 300, values), horizon=horizon, levels=(level,))
    except InsufficientHistory:
        assert np.isnan(values[-3:]).all()  # the last 15 minutes, at 300 s
        return
    assert forecast.values.shape == (1, horizon)
    assert (forecast.values >= 0).all()


@_SETTINGS
@given(values=_odd(), data=st.data())
def test_the_future_changes_nothing(model: FittedForecaster, values: FloatArray, data: st.DataObject) -> None:
    if values.size < 2:
        return
    cut = data.draw(st.integers(1, values.size - 1))
    other = values.copy()
    other[cut:] = 777.0
    origins = np.arange(max(0, cut - 5), cut, dtype=np.int64)
    one, two, three = (
        predict_many(model, TimeSeries(0, 300, v), origins, horizon=6, levels=(0.5, 0.9))
        for v in (values, other, values[:cut])
    )
    assert np.array_equal(one.values, two.values, equal_nan=True)
    assert np.array_equal(one.peak, two.peak, equal_nan=True)
    assert np.array_equal(one.peak, three.peak, equal_nan=True)
