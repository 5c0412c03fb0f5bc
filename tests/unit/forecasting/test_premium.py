"""Premiums: what serving a quantile adds to a load, and the quantile that a premium buys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.batch import predict_many
from forecasting.errors import InsufficientHistory
from forecasting.forecast import Forecast
from forecasting.levels import DEFAULT_LEVEL
from forecasting.models.naive import Naive
from forecasting.premium import CHOICES, ENOUGH, allowed, beyond_median, highest_level, level_within, premiums
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.batch import ForecastBatch
    from forecasting.series import FloatArray
    from forecasting.windows import IntArray


@dataclass(frozen=True)
class Factors:
    """Forecasts the last value times 0.5 + level, plus a tenth a step; knows nothing while the load is 0."""

    context_length: int = 1

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        last = float(context.values[-1])
        if last == 0.0:
            raise InsufficientHistory("a load", have=0, need=1)
        peak = last * (0.5 + np.array(levels)[:, None] + 0.1 * np.arange(horizon))
        return Forecast.of(origin=context.end, step=context.step, levels=levels, values=peak, peak=peak)


def load(*values: float) -> TimeSeries:
    return TimeSeries(0, 60, np.array(values))


def test_a_premium_is_what_the_larger_of_load_and_peak_adds_on_average() -> None:
    found = premiums(Factors(), load(10, 30, float("nan"), 0, 20), horizon=3, levels=(0.2, 0.5, 0.9))
    assert found is not None
    # 0.7, 0.8, 0.9 of the load never exceed it; where the load or the forecast is not known, nothing is added
    assert found[0] == pytest.approx(np.array([[0.0, 0.0, 0.0], [0.0, 0.1, 0.2], [0.4, 0.5, 0.6]]))


def test_what_is_expected_above_a_level_is_the_integral_of_the_higher_quantiles() -> None:
    found = premiums(Factors(), load(10, 30, 20), horizon=1, levels=(0.5, 0.9, 0.99))
    assert found is not None
    # quantiles rise with the level itself: above q they come to (1 - q)^2 / 2 of the load, cut off at 0.9995
    expected = [0.5 * (0.9995 - level) ** 2 for level in (0.5, 0.9, 0.99)]
    assert found[1, :, 0] == pytest.approx(expected)


def test_only_the_last_week_counts_and_of_it_all_minutes_of_the_hour() -> None:
    # Factors adds the same part to every load, so loads are told apart by the origins asked for
    asked: list[int] = []

    @dataclass(frozen=True)
    class Listening(Factors):
        def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
            asked.append(context.end)
            return super().predict(context, horizon=horizon, levels=levels)

    series = load(*[10.0] * (9 * 1440))
    premiums(Listening(), series, horizon=1)
    since = [(series.end - time) / 86400 for time in asked]
    assert 6.5 < max(since) < 7.0
    assert 0.0 <= min(since) < 0.5
    assert len({time // 60 % 60 for time in asked}) > 20


def test_what_wraps_one_that_takes_its_time_is_asked_no_more_often() -> None:
    asked = []

    @dataclass(frozen=True)
    class Wrapping(Factors):
        one_by_one: bool = True

        def predict_many(
            self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
        ) -> ForecastBatch:
            asked.append(len(origins))
            return predict_many(Factors(), series, origins, horizon=horizon, levels=levels)

    series = load(*[10.0] * 3000)
    premiums(Wrapping(), series, horizon=1)
    premiums(Wrapping(one_by_one=False), series, horizon=1)
    assert asked[0] == 31
    assert asked[1] > 300


def test_a_vectorised_forecaster_is_asked_more_often_and_says_the_same() -> None:
    generator = np.random.default_rng(3)
    series = load(*(100 + generator.normal(0, 5, 3000)))
    fitted = Naive().fit(series, horizon=5, levels=(0.9,))
    found = premiums(fitted, series, horizon=5)
    assert found is not None
    assert found.shape == (2, len(CHOICES), 5)
    added, unmet = found
    assert (np.diff(added, axis=0) >= 0).all()
    assert (np.diff(added, axis=1) >= 0).all()
    assert (np.diff(unmet, axis=0) <= 0).all()
    assert (unmet >= 0).all()


@pytest.mark.parametrize(
    "series",
    [load(0.0, 0.0), load(float("nan"), float("nan")), load()],
    ids=["no load", "nothing known", "nothing"],
)
def test_no_load_has_no_premium(series: TimeSeries) -> None:
    assert premiums(Factors(), series, horizon=2) is None


def table(added: list[list[float]], unmet: float = 1.0) -> FloatArray:
    return np.stack([np.array(added), np.full(np.shape(added), unmet)])


def test_each_halving_of_the_risk_may_add_the_same_factor_and_0_9_the_premium() -> None:
    assert allowed(0.5, 0.4) == 0.0
    assert allowed(0.9, 0.4) == pytest.approx(0.4)
    halving = 1 + allowed(0.75, 0.4)
    assert [1 + allowed(level, 0.4) for level in (0.875, 0.9375, 0.96875)] == pytest.approx(
        [halving**2, halving**3, halving**4]
    )


def test_the_highest_level_that_adds_no_more_than_it_may() -> None:
    levels = (0.5, 0.9, 0.99)
    found = table([[0.0, 0.25], [0.4, 0.75], [2.0, 3.0]])
    assert level_within(found, 0.4001, steps=1, levels=levels) == 0.9
    assert level_within(found, 0.3999, steps=1, levels=levels) == 0.5
    assert level_within(found, 0.4001, steps=2, levels=levels) == 0.9
    assert level_within(found, 0.3999, steps=9, levels=levels) == 0.5  # held beyond the last horizon
    assert level_within(found, 9.0, steps=1, levels=levels) == 0.99


def test_what_the_median_asks_for_is_no_premium() -> None:
    """Two loads whose quantiles are as far apart, and whose median peaks are not as far above the load."""
    levels = (0.5, 0.9, 0.99)
    calm, bursty = table([[0.1], [0.32], [1.2]]), table([[1.0], [1.4], [3.0]])
    assert beyond_median(bursty[0, :, 0]) == pytest.approx([0.0, 0.2, 1.0])
    assert beyond_median(calm[0, :, 0]) == pytest.approx(beyond_median(bursty[0, :, 0]))
    assert level_within(bursty, 0.21, steps=1, levels=levels) == 0.9
    assert level_within(bursty, 0.19, steps=1, levels=levels) == 0.5


def test_the_median_if_all_others_cost_more() -> None:
    assert level_within(table([[0.7], [2.8]]), 0.5, steps=1, levels=(0.5, 0.9)) == 0.5


def test_no_higher_level_than_there_is_need_for() -> None:
    levels = (0.5, 0.9, 0.95, 0.99)
    found = table([[0.01], [0.02], [0.03], [0.04]])
    assert level_within(found, 0.5, steps=1, levels=levels) == 0.99
    found[1, :, 0] = [0.02, 0.01, ENOUGH, 0.0]
    assert level_within(found, 0.5, steps=1, levels=levels) == 0.95


def test_none_above_the_highest_is_taken() -> None:
    levels = (0.5, 0.9, 0.95, 0.99)
    found = table([[0.01], [0.02], [0.03], [0.04]])
    assert level_within(found, 0.5, steps=1, levels=levels, highest=0.95) == 0.95
    assert level_within(found, 0.5, steps=1, levels=levels, highest=0.5) == 0.5


def test_where_replicas_serve_soon_a_miss_is_short_and_the_last_step_is_not_taken() -> None:
    assert [highest_level(lead_time) for lead_time in (15.0, 60.0, 90.0, 91.0, 180.0, 1800.0)] == [
        *3 * [0.9865],
        *3 * [0.99],
    ]


def test_without_premiums_it_is_the_usual_level() -> None:
    assert level_within(None, 0.5, steps=3) == DEFAULT_LEVEL == 0.9
