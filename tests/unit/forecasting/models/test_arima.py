from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from statsmodels.tsa.arima.model import ARIMA

from forecasting.errors import InvalidParameter
from forecasting.models.arima import Arima, Arma, Harmonics, hannan_rissanen
from forecasting.models.naive import Naive

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.series import FloatArray, TimeSeries


def _simulated(ar: tuple[float, ...], ma: tuple[float, ...], n: int) -> FloatArray:
    e = np.random.default_rng(0).normal(size=n)
    x = np.zeros(n)
    for t in range(n):
        x[t] = e[t]
        x[t] += sum(c * x[t - i] for i, c in enumerate(ar, 1) if t >= i)
        x[t] += sum(c * e[t - j] for j, c in enumerate(ma, 1) if t >= j)
    return x


@pytest.mark.parametrize(("ar", "ma"), [((0.7,), (0.4,)), ((0.5, 0.3), ()), ((), (0.6,)), ((0.6, -0.2), (0.5, 0.1))])
def test_forecasts_are_those_of_statsmodels(ar: tuple[float, ...], ma: tuple[float, ...]) -> None:
    x = _simulated(ar, ma, 400)
    model = ARIMA(x, order=(len(ar), 0, len(ma)), trend="n")
    expected = model.smooth([*ar, *ma, 1.0]).forecast(12)
    assert Arma(ar=ar, ma=ma).paths(x[None, :], 12)[0] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("ar", "ma"), [((0.7,), (0.4,)), ((0.5, 0.3), ()), ((), (0.6,))])
def test_hannan_and_rissanen_recover_the_parameters(ar: tuple[float, ...], ma: tuple[float, ...]) -> None:
    found = hannan_rissanen(_simulated(ar, ma, 8000), len(ar), len(ma))
    assert found is not None
    assert found.ar == pytest.approx(ar, abs=0.05)
    assert found.ma == pytest.approx(ma, abs=0.05)


def test_an_estimate_that_explodes_is_refused() -> None:
    assert hannan_rissanen(1.01 ** np.arange(400.0), 1, 0) is None


def test_harmonics_are_read_at_times_since_the_epoch() -> None:
    harmonics = Harmonics(length=8, cosines=np.array([1.0, 0.0]), sines=np.array([0.0, 2.0]))
    t = np.arange(-3, 20)
    expected = np.cos(2 * np.pi * t / 8) + 2 * np.sin(4 * np.pi * t / 8)
    assert harmonics.at(t) == pytest.approx(expected)


def test_a_rhythm_is_followed(daily: Callable[..., TimeSeries]) -> None:
    series = daily(days=8)
    history, ahead = series.first(6 * 288), 24
    fitted = Arima().fit(history, horizon=ahead, levels=(0.5,))
    assert [h.length for h in fitted.harmonics] == [288]
    plain = Naive().fit(history, horizon=ahead, levels=(0.5,))
    origins = np.arange(6 * 288, 8 * 288 - ahead, 7)
    came = series.values[origins + ahead]
    error, naive = (
        np.abs(f.predict_many(series, origins, horizon=ahead, levels=(0.5,)).values[:, 0, -1] - came).mean()
        for f in (fitted, plain)
    )
    assert error < 0.25 * naive


def test_parameters_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidParameter) as caught:
        Arima(harmonics=0)
    assert str(caught.value) == "parameter 'harmonics' must lie between 1 and 50, not 0"
    with pytest.raises(InvalidParameter) as caught:
        Arima(season_length=-1)
    assert str(caught.value) == "parameter 'season_length' must be 0 steps or more, not -1"
