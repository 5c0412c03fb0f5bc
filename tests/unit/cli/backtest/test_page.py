"""What the page says, for every way in which a backtest can end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from forecasting.evaluation import Score
from forecasting.series import TimeSeries
from scaler.cli.backtest.arguments import Plan
from scaler.cli.backtest.charts import opacities
from scaler.cli.backtest.content import Content, Stretch
from scaler.cli.backtest.page import page
from scaler.cli.backtest.results import Outcomes, Results
from scaler.cli.backtest.words import summary

START, DAYS = 1767225600, 3
NAN = math.nan


def plan_of(values: np.ndarray, *, step: int = 60, horizons: tuple[int, ...] = (300, 900)) -> Plan:
    series = TimeSeries(START, step, values)
    return Plan(
        name="shop",
        series=series,
        train_end=START + (len(values) // 3 - 1) * step,
        forecaster="ets",
        parameters={"trend": "false"},
        horizons=horizons,
        levels=(0.5, 0.9),
        refit_every=86400,
        history=20160,
    )


def results_of(
    plan: Plan, *, loss: float, kept: float = 0.9, explanation: str = "", forecaster: str = "ets"
) -> Results:
    first = (plan.train_end - plan.series.start) // plan.series.step
    positions = np.arange(first, len(plan.series))
    shape = (len(positions), len(plan.levels), len(plan.horizons))
    one = Score(100, 1.0, {0.5: 1.0, 0.9: loss}, {0.5: 0.5, 0.9: kept})
    return Results(
        forecaster=forecaster,
        positions=positions,
        levels=plan.levels,
        values=np.full(shape, 10.0),
        peaks=np.full(shape, 12.0),
        value_scores=dict.fromkeys(plan.horizons, replace(one, coverage={0.5: 0.5, 0.9: 0.9})),
        peak_scores=dict.fromkeys(plan.horizons, one),
        whole={},
        fit_seconds=(0.5, 0.5),
        predict_seconds=1e-5,
        failures=(),
        explanation=explanation,
    )


@pytest.fixture
def content() -> Content:
    """Ten at every minute; thirteen from 15:00 to 16:00."""
    minutes = np.arange(DAYS * 1440)
    plan = plan_of(np.where(minutes // 60 % 24 == 15, 13.0, 10.0))
    results = results_of(plan, loss=0.5)
    outcomes = Outcomes.of(plan.series, results.positions, plan.steps)
    naive = results_of(plan, loss=1.0, forecaster="naive")
    return Content(plan=plan, results=results, reference=naive, outcomes=outcomes, stretch=Stretch.of(plan, None))


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (0.7, "are 30% better than repeating the last value (naive), by pinball loss."),
        (0.98, "are no better than repeating the last value (naive), by pinball loss: nothing is to be gained."),
        (1.03, "are no better than repeating the last value (naive), by pinball loss: nothing is to be gained."),
        (
            1.2,
            ("are 20% worse than repeating the last value (naive), by pinball loss: try another forecaster on this "
            "series."),
        ),
        (NAN, "cannot be compared with repeating the last value: nothing came that could be judged."),
    ],
)  # fmt: skip
def test_the_verdict_is_told_whichever_way_it_falls(content: Content, loss: float, says: str) -> None:
    told = summary(replace(content, results=results_of(content.plan, loss=loss)))
    assert told[0] == f"Over 2d, ets's forecasts of the peak of the coming 15m at quantile 0.9 {says}"


@pytest.mark.parametrize(
    ("loss", "says", "shown"),
    [
        (0.0, "are no better than repeating the last value (naive), by pinball loss: nothing is to be gained.", "1.00"),
        (0.1, "are worse than repeating the last value (naive), which is never wrong here.", "∞"),
    ],
)
def test_a_load_that_repeating_the_last_value_gets_right(content: Content, loss: float, says: str, shown: str) -> None:
    results, naive = results_of(content.plan, loss=loss), results_of(content.plan, loss=0.0, forecaster="naive")
    judged = replace(content, results=results, reference=naive)
    assert summary(judged)[0].endswith(says)
    assert f"<td>{shown}</td>" in page(judged)


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        (0.915, "The quantiles keep their promise: at the worst, 91.5% instead of 90% for the peak within 5m."),
        (
            0.84,
            ("The quantiles promise too much somewhere: 84.0% instead of 90% for the peak within 5m. The load came out "
            "above them more often than they say."),
        ),
        (
            0.97,
            ("The quantiles are too cautious somewhere: 97.0% instead of 90% for the peak within 5m. They cost more "
            "pods than they say."),
        ),
    ],
)  # fmt: skip
def test_the_promise_missed_the_most_is_told(content: Content, kept: float, says: str) -> None:
    told = summary(replace(content, results=results_of(content.plan, loss=0.5, kept=kept)))
    assert told[1:3] == ["The loss divided by naive's, below 1 is better: 0.50 for 5m, 0.50 for 15m.", says]


def test_the_hardest_hour_and_the_fits_are_told(content: Content) -> None:
    told = summary(replace(content, results=results_of(content.plan, loss=0.5, explanation="damped trend")))
    # the median is off by 3 in one hour of 24, so by 3 / 24 on average
    assert told[3:] == [
        (
            "The hardest hour of the day is 15:00 to 16:00 UTC: 15m ahead, the median is off by 24.0 times as much as "
            "on average."
        ),
        "2 fits by ets, 1d apart, to at most 20160 samples.",
        "The last fit says: damped trend.",
    ]
    errors = content.by_hour(content.results, 900)
    assert errors[15] == 3.0
    assert errors.sum() == 3.0


def test_repeating_the_last_value_is_compared_with_nobody(content: Content) -> None:
    naive = replace(content, results=content.reference)
    assert summary(naive)[0].endswith("are what every other forecaster has to beat: they repeat the last value.")
    text = page(naive)
    assert "naive (dashed)" not in text
    assert 'class="ref"' not in text


def test_the_page_stands_where_nothing_could_be_judged(content: Content) -> None:
    unknown = Score(0, NAN, dict.fromkeys(content.plan.levels, NAN), dict.fromkeys(content.plan.levels, NAN))
    scores = dict.fromkeys(content.plan.horizons, unknown)
    results = replace(content.results, value_scores=scores, peak_scores=scores)
    results.values[:], results.peaks[:] = NAN, NAN
    text = page(replace(content, results=results, reference=replace(results)))
    assert "nothing came that could be judged" in text
    assert ">nan" not in text


def test_the_parameters_are_in_the_fine_print(content: Content) -> None:
    assert "ets with trend = false was fitted" in page(content)


def test_the_stretch_is_half_a_day_around_the_highest_load() -> None:
    minutes = np.arange(DAYS * 1440, dtype=np.float64)
    load = np.ones_like(minutes)
    load[1440 + 17 * 60 + 30] = 5.0
    assert Stretch.of(plan_of(load), None) == Stretch(START + 35 * 3600, START + 47 * 3600, 1200)
    asked = START + 1440 * 60 + 90 * 60 + 20.5
    assert Stretch.of(plan_of(load), asked).start == START + 1440 * 60 + 90 * 60
    late = Stretch.of(plan_of(load), START + DAYS * 86400 - 600)
    assert late.end == START + DAYS * 86400 - 60


def test_a_stretch_is_no_longer_than_what_was_forecast_and_has_few_fans() -> None:
    plan = plan_of(np.ones(180), horizons=(60,))
    assert Stretch.of(plan, None) == Stretch(plan.train_end, plan.series.end, 240)
    coarse = plan_of(np.ones(900), step=3600, horizons=(3600,))
    stretch = Stretch.of(coarse, None)
    assert stretch.end - stretch.start == 96 * 3600
    assert len(stretch.origins) <= 36


def test_bands_are_fainter_the_further_out() -> None:
    assert opacities(0) == []
    assert opacities(1) == [0.55]
    assert opacities(3) == [0.55, 0.355, 0.16]
