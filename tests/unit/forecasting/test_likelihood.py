"""Maximum likelihood against the fast estimates: on series whose parameters are known, and on real ones."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from forecasting.conformance import strange_series
from forecasting.errors import FitFailed, InsufficientHistory, InvalidParameter
from forecasting.evaluation import rolling_origin
from forecasting.likelihood import arma_by_likelihood, smoothing_by_likelihood
from forecasting.models.arima import Arima, hannan_rissanen
from forecasting.models.ets import Ets
from forecasting.models.naive import Naive

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.forecaster import Forecaster
    from forecasting.series import FloatArray, TimeSeries


def _arma(ar: tuple[float, ...], ma: tuple[float, ...], n: int) -> FloatArray:
    e = np.random.default_rng(5).normal(size=n + 200)
    x = np.zeros(n + 200)
    for t in range(5, n + 200):
        x[t] = e[t] + sum(a * x[t - 1 - i] for i, a in enumerate(ar)) + sum(m * e[t - 1 - j] for j, m in enumerate(ma))
    return x[200:]


@pytest.mark.parametrize(("ar", "ma"), [((0.8,), (0.4,)), ((1.4, -0.5), ()), ((), (-0.5, 0.3)), ((0.5, 0.3), (0.7,))])
def test_an_arma_is_that_of_the_kalman_filter_and_near_that_of_two_regressions(
    ar: tuple[float, ...], ma: tuple[float, ...]
) -> None:
    x = _arma(ar, ma, 1500)
    fast = hannan_rissanen(x, len(ar), len(ma))
    assert fast is not None
    found = arma_by_likelihood(x, fast.ar, fast.ma)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own starting values are sometimes poor, which it says
        kalman = SARIMAX(x, order=(len(ar), 0, len(ma)), concentrate_scale=True).fit(disp=False)
    assert (*found[0], *found[1]) == pytest.approx(kalman.params, abs=0.005)
    assert (*found[0], *found[1]) == pytest.approx((*fast.ar, *fast.ma), abs=0.1)


def test_units_do_not_matter() -> None:
    x = _arma((0.7,), (), 800)
    assert arma_by_likelihood(1e-6 * x, (0.5,), ())[0] == pytest.approx(arma_by_likelihood(x, (0.5,), ())[0], abs=1e-4)


def test_nothing_to_estimate_is_nothing_estimated() -> None:
    assert arma_by_likelihood(np.zeros(50), (), ()) == ((), ())


@pytest.mark.parametrize("alpha", [0.15, 0.6])
def test_smoothing_is_recovered(alpha: float) -> None:
    e = np.random.default_rng(2).normal(size=3000)
    # level(t) = level(t-1) + alpha e(t); x(t) = level(t-1) + e(t)
    x = 100 + np.concatenate([[0.0], np.cumsum(alpha * e[:-1])]) + e
    found, beta, phi = smoothing_by_likelihood(x, trend=True)
    assert found == pytest.approx(alpha, abs=0.05)
    assert (beta, phi) == (0.0, 0.5)


def test_a_trend_is_taken_where_information_criteria_want_one_and_may_be_forbidden() -> None:
    random = np.random.default_rng(1)
    x = np.cumsum(np.repeat(random.choice([-1.0, 1.0], 40), 60)) + random.normal(0, 0.5, 2400)
    alpha, beta, phi = smoothing_by_likelihood(x, trend=True)
    assert 0 < beta < alpha
    assert 0.8 <= phi <= 0.98
    assert smoothing_by_likelihood(x, trend=False)[1] == 0.0


def test_what_does_not_vary_has_no_likelihood() -> None:
    with pytest.raises(FitFailed) as caught:
        smoothing_by_likelihood(np.full(500, 3.0), trend=False)
    assert str(caught.value) == (
        "ets: maximum likelihood failed: the samples do not vary once seasons are taken out; estimator=fast does "
        "without it"
    )
    with pytest.raises(FitFailed) as caught:
        arma_by_likelihood(np.full(500, 3.0), (0.5,), ())
    assert str(caught.value).startswith("arima: maximum likelihood failed: the samples do not vary")


@pytest.mark.parametrize(("fast", "exact"), [(Ets(), Ets(estimator="exact")), (Arima(), Arima(estimator="exact"))])
def test_on_a_real_trace_both_beat_the_last_value_and_are_near(
    trace: Callable[[str], TimeSeries], fast: Forecaster, exact: Forecaster
) -> None:
    series = trace("nasa_http_jul95").last(6 * 1440)
    train_end = series.start + 60 * 4 * 1440
    losses = [
        rolling_origin(series, forecaster, train_end=train_end, horizons=(15,), levels=(0.9,), stride=30)
        .peaks[15]
        .pinball[0.9]
        for forecaster in (Naive(), fast, exact)
    ]
    assert losses[1] < 0.95 * losses[0]
    assert losses[2] < 0.95 * losses[0]
    assert losses[2] == pytest.approx(losses[1], rel=0.25)


@pytest.mark.parametrize("forecaster", [Ets(estimator="exact"), Arima(estimator="exact")])
def test_strange_series_are_fitted_or_refused_in_words(forecaster: Forecaster) -> None:
    refused = 0
    for _, series in strange_series(300, 500):
        try:
            fitted = forecaster.fit(series, horizon=6, levels=(0.9,))
            forecast = fitted.predict(series, horizon=6, levels=(0.9,))
        except (FitFailed, InsufficientHistory):
            refused += 1
            continue
        assert np.isfinite(forecast.values).all()
        assert (forecast.values >= 0).all()
    assert 0 < refused < 10


@pytest.mark.parametrize("model", [Ets, Arima])
def test_there_are_two_estimators(model: type[Ets | Arima]) -> None:
    with pytest.raises(InvalidParameter) as caught:
        model(estimator="bayes")  # type: ignore[arg-type]  # what a plug-in's caller may write
    assert str(caught.value) == "parameter 'estimator' must be fast or exact, not 'bayes'"
