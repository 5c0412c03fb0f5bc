from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from forecasting.errors import InsufficientHistory, InvalidParameter
from forecasting.models.ets import Ets, Smoothing
from forecasting.models.naive import Naive
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(("alpha", "beta", "phi"), [(0.3, 0.05, 0.9), (0.9, 0.2, 0.8), (0.05, 0.01, 0.97)])
def test_states_and_forecasts_are_those_of_statsmodels(alpha: float, beta: float, phi: float) -> None:
    random = np.random.default_rng(0)
    y = 50 + np.cumsum(random.normal(size=120))
    model = ETSModel(
        y,
        error="add",
        trend="add",
        damped_trend=True,
        initialization_method="known",
        initial_level=y[0],
        initial_trend=0.0,
    )
    # statsmodels meets the first sample with an error of 0 from these states: the same start
    expected = model.smooth([alpha, beta, phi, y[0], 0.0]).forecast(10)
    smoothing = Smoothing(alpha=alpha, beta=beta, phi=phi)
    level, trend = (float((weights * y).sum()) for weights in smoothing.weights(120))
    assert level + trend * smoothing.course(np.arange(1, 11)) == pytest.approx(expected, rel=1e-9)


def test_without_a_trend_it_is_simple_exponential_smoothing() -> None:
    level, trend = Smoothing(alpha=0.5, beta=0.0, phi=0.5).weights(4)
    assert level == pytest.approx([0.125, 0.125, 0.25, 0.5])
    assert not trend.any()


def test_a_rhythm_is_followed(daily: Callable[..., TimeSeries]) -> None:
    series = daily(days=8)
    history, ahead = series.first(6 * 288), 24
    fitted = Ets().fit(history, horizon=ahead, levels=(0.5,))
    assert [profile.length for profile in fitted.profiles] == [288]
    plain = Naive().fit(history, horizon=ahead, levels=(0.5,))
    origins = np.arange(6 * 288, 8 * 288 - ahead, 7)
    came = series.values[origins + ahead]
    error, naive = (
        np.abs(f.predict_many(series, origins, horizon=ahead, levels=(0.5,)).values[:, 0, -1] - came).mean()
        for f in (fitted, plain)
    )
    assert error < 0.25 * naive


def test_a_ramp_is_extrapolated_with_a_trend_and_not_without() -> None:
    random = np.random.default_rng(1)
    slopes = np.repeat(random.choice([-1.0, 1.0], 40), 60)
    values = 500 + np.cumsum(slopes) + random.normal(0, 0.5, 2400)
    values[-60:] = values[-61] + np.arange(1, 61)
    series = TimeSeries(0, 60, values)
    found = {trend: Ets(season_length=0, trend=trend).fit(series, horizon=10, levels=(0.5,)) for trend in (True, False)}
    assert found[True].smoothing.beta > 0
    assert found[False].smoothing.beta == 0
    rise = {t: f.predict(series, horizon=10, levels=(0.5,)).values[0, -1] - values[-1] for t, f in found.items()}
    assert rise[True] > 4


def test_parameters_out_of_range_and_short_histories_are_refused() -> None:
    with pytest.raises(InvalidParameter) as caught:
        Ets(season_length=-1)
    assert str(caught.value) == "parameter 'season_length' must be 0 steps or more, not -1"
    with pytest.raises(InsufficientHistory) as short:
        Ets().fit(TimeSeries(0, 60, np.ones(239)), horizon=5, levels=(0.5,))
    assert str(short.value) == "ets needs 240 known samples of history, this series has 239"
