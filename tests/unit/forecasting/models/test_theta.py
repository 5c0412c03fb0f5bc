from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from statsmodels.tsa.forecasting.theta import ThetaModel

from forecasting.errors import InsufficientHistory, InvalidParameter
from forecasting.models.naive import Naive
from forecasting.models.theta import Theta, ThetaLines
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.series import FloatArray


def _by_hand(y: FloatArray, alpha: float, theta: float, horizon: int) -> FloatArray:
    """As the paper says it: stretch, smooth, extrapolate the line, and take the weighted mean."""
    t = np.arange(y.size)
    slope, start = np.polyfit(t, y, 1)
    stretched = theta * y + (1 - theta) * (start + slope * t)
    level = stretched[0]
    for value in stretched[1:]:
        level += alpha * (value - level)
    ahead = start + slope * (y.size - 1 + np.arange(1, horizon + 1))
    return np.asarray(level / theta + (1 - 1 / theta) * ahead)


@pytest.mark.parametrize(("alpha", "theta"), [(0.3, 2.0), (0.8, 1.25), (0.05, 3.0), (0.5, 1.0)])
def test_forecasts_are_those_of_the_papers_steps(alpha: float, theta: float) -> None:
    y = 50 + np.cumsum(np.random.default_rng(0).normal(0.3, 1, size=150))
    level, trend = ThetaLines(alpha=alpha, theta=theta, reach=150).weights(150)
    found = (level * y).sum() + (trend * y).sum() * np.arange(1, 11)
    assert found == pytest.approx(_by_hand(y, alpha, theta, 10), rel=1e-9)


def test_the_drift_of_theta_two_is_that_of_statsmodels() -> None:
    y = 50 + np.cumsum(np.random.default_rng(1).normal(0.3, 1, size=200))
    fitted = ThetaModel(y, deseasonalize=False).fit(use_mle=False)
    expected = fitted.forecast(10, theta=2).to_numpy()
    _, trend = ThetaLines(alpha=float(fitted.params["alpha"]), theta=2.0, reach=200).weights(200)
    assert (trend * y).sum() == pytest.approx(float(np.diff(expected).mean()), rel=1e-6)


def test_theta_one_is_exponential_smoothing_and_has_no_line() -> None:
    level, trend = ThetaLines(alpha=0.5, theta=1.0, reach=3).weights(4)
    assert level == pytest.approx([0.125, 0.125, 0.25, 0.5])
    assert not trend.any()


def test_a_straight_line_is_continued_by_its_share() -> None:
    y = 10 + 2.0 * np.arange(400)
    level, trend = ThetaLines(alpha=0.9, theta=2.0, reach=120).weights(400)
    assert (trend * y).sum() == pytest.approx(1.0)  # half the slope
    assert (level * y).sum() == pytest.approx(y[-1], abs=0.2)


def test_a_rhythm_is_followed(daily: Callable[..., TimeSeries]) -> None:
    series = daily(days=8)
    history, ahead = series.first(6 * 288), 24
    fitted = Theta().fit(history, horizon=ahead, levels=(0.5,))
    assert [profile.length for profile in fitted.profiles] == [288]
    plain = Naive().fit(history, horizon=ahead, levels=(0.5,))
    origins = np.arange(6 * 288, 8 * 288 - ahead, 7)
    came = series.values[origins + ahead]
    error, naive = (
        np.abs(f.predict_many(series, origins, horizon=ahead, levels=(0.5,)).values[:, 0, -1] - came).mean()
        for f in (fitted, plain)
    )
    assert error < 0.25 * naive


def test_where_trends_last_a_line_is_taken_unless_theta_is_given() -> None:
    random = np.random.default_rng(1)
    slopes = np.repeat(random.choice([-1.0, 1.0], 12), 200)
    series = TimeSeries(0, 60, 1500 + np.cumsum(slopes) + random.normal(0, 3, 2400))
    found = Theta(season_length=0).fit(series, horizon=30, levels=(0.5,))
    assert found.lines.theta > 1
    assert Theta(season_length=0, theta=1.0).fit(series, horizon=30, levels=(0.5,)).lines.theta == 1


def test_parameters_out_of_range_and_short_histories_are_refused() -> None:
    with pytest.raises(InvalidParameter) as caught:
        Theta(season_length=-1)
    assert str(caught.value) == "parameter 'season_length' must be 0 steps or more, not -1"
    with pytest.raises(InvalidParameter) as caught:
        Theta(theta=0.5)
    assert str(caught.value) == "parameter 'theta' must lie between 1 and 100, not 0.5"
    with pytest.raises(InsufficientHistory) as short:
        Theta().fit(TimeSeries(0, 60, np.ones(239)), horizon=5, levels=(0.5,))
    assert str(short.value) == "theta needs 240 known samples of history, this series has 239"
