from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.batch import predict_many
from forecasting.calibration import future
from forecasting.covariates import FittedWithCovariates, WithCovariates
from forecasting.errors import InvalidSeries
from forecasting.evaluation import pinball_loss
from forecasting.models.lstm import Lstm
from forecasting.models.naive import Naive
from forecasting.serialise import dumps, loads
from forecasting.series import TimeSeries

LEVELS = (0.5, 0.9, 0.95)
HORIZON, LEAD, DAY = 15, 8, 1440


def led(*, days: int = 8, seed: int = 1, useful: bool = True) -> TimeSeries:
    """Loads with bursts that nothing tells of but a covariate, which has them eight minutes earlier."""
    random = np.random.default_rng(seed)
    n = days * DAY
    bursts = np.zeros(n + LEAD)
    for begin in random.integers(0, n, days * 12):
        bursts[begin : begin + int(random.integers(10, 40))] += random.uniform(100, 400)
    daily = 100 * (1 + 0.5 * np.sin(2 * np.pi * np.arange(n) / DAY))
    values = (daily + bursts[:n]) * np.exp(random.normal(0, 0.05, n))
    covariate = 10 + random.normal(0, 3, n) + (bursts[LEAD:] if useful else 0.0)
    return TimeSeries(1_700_006_400, 60, values, covariate[None])


def fitted(base: Naive | Lstm, series: TimeSeries) -> FittedWithCovariates:
    found = WithCovariates(base=base).fit(series, horizon=HORIZON, levels=LEVELS)
    assert isinstance(found, FittedWithCovariates)
    return found


@pytest.mark.parametrize("base", [Naive(), Lstm()])
def test_a_covariate_that_leads_lowers_the_loss(base: Naive | Lstm) -> None:
    series = led()
    model = fitted(base, series.first(7 * DAY))
    origins = np.arange(7 * DAY, 8 * DAY - HORIZON, 7)
    came = future(series.values, origins, HORIZON)
    losses = []
    for forecaster in (model, loads(model.base)):
        batch = predict_many(forecaster, series, origins, horizon=HORIZON, levels=LEVELS)
        level = np.array(LEVELS)[:, None]
        losses.append(pinball_loss(came[:, None], batch.values, level).mean(axis=0))
        if forecaster is model:
            assert np.mean(came[:, LEAD - 1] <= batch.values[:, 1, LEAD - 1]) == pytest.approx(0.9, abs=0.05)
    ratio = losses[0] / losses[1]
    assert (ratio[:, LEAD - 1] < 0.7).all()  # as far ahead as it leads
    assert ratio.mean() < 0.85
    assert model.gain > 0.15
    assert "covariates" in model.explanation
    assert model.explanation.endswith(f"{round(100 * model.gain)} % less loss over the last 1.6 days")


def test_one_that_says_nothing_changes_nothing_and_is_told() -> None:
    series = led(useful=False)
    model = fitted(Naive(), series.first(7 * DAY))
    assert model.explanation.startswith("covariates left out, for they gained nothing: ")
    context = series.first(7 * DAY + 600)
    assert model.predict(context, horizon=9, levels=LEVELS) == loads(model.base).predict(
        context, horizon=9, levels=LEVELS
    )


def test_forecasts_are_the_same_alone_in_a_batch_and_after_a_restart() -> None:
    series = led(days=4)
    model = fitted(Naive(), series.first(3 * DAY))
    origins = np.arange(3 * DAY, 4 * DAY - HORIZON, 111)
    many = model.predict_many(series, origins, horizon=HORIZON, levels=LEVELS)
    again = loads(dumps(model))
    for row, origin in enumerate(origins):
        context = series.first(int(origin) + 1).last(model.context_length)
        assert again.predict(context, horizon=HORIZON, levels=LEVELS) == many.forecast(row)


def test_where_a_covariate_is_unknown_the_forecaster_stands_alone() -> None:
    series = led(days=4)
    model = fitted(Naive(), series.first(3 * DAY))
    own = loads(model.base).predict(series, horizon=HORIZON, levels=LEVELS)
    assert series.covariates is not None
    late = series.covariates.copy()
    late[0, -40:] = np.nan
    assert model.predict(series, horizon=HORIZON, levels=LEVELS) != own
    for unknown in (replace(series, covariates=None), replace(series, covariates=late)):
        assert model.predict(unknown, horizon=HORIZON, levels=LEVELS) == own
    missed = series.covariates.copy()
    missed[0, -3:] = np.nan  # a scrape or two: the last known value stands in
    assert model.predict(replace(series, covariates=missed), horizon=HORIZON, levels=LEVELS) != own


def test_what_is_too_little_to_tell_is_told() -> None:
    short = fitted(Naive(), led(days=1))
    assert short.explanation == ("covariates left out: the history is shorter than the two days that it takes to tell")
    series = led(days=4)
    blind = fitted(Naive(), replace(series, covariates=np.full((1, len(series)), np.nan)))
    assert blind.explanation == "covariates left out: too many of their samples are missing"
    hourly = TimeSeries(0, 3600, np.arange(150.0) % 24, np.ones((1, 150)))
    assert fitted(Naive(), hourly).explanation == (
        "covariates left out: the history is too short, it leaves 35 forecasts to judge by"
    )


def test_one_that_is_hardly_known_does_not_keep_the_others_out() -> None:
    series = led()
    assert series.covariates is not None
    nothing = np.full(len(series), np.nan)
    model = fitted(Naive(), replace(series, covariates=np.stack([nothing, series.covariates[0]])))
    assert model.gain > 0.15
    assert model.explanation.endswith("% less loss over the last 1.8 days (too few samples of number 1 are known)")


def test_without_covariates_it_is_the_forecaster() -> None:
    series = replace(led(days=2), covariates=None)
    alone = Naive().fit(series, horizon=HORIZON, levels=LEVELS)
    found = WithCovariates(base=Naive()).fit(series, horizon=HORIZON, levels=LEVELS)
    assert dumps(found) == dumps(alone)
    assert WithCovariates(base=Naive()).name == "naive"
    assert WithCovariates(base=Naive()).min_history(60) == Naive().min_history(60)


def test_another_number_of_covariates_is_refused() -> None:
    series = led(days=4)
    model = fitted(Naive(), series.first(3 * DAY))
    assert series.covariates is not None
    two = replace(series, covariates=np.concatenate([series.covariates] * 2))
    with pytest.raises(InvalidSeries, match="the context has 2 covariates, 1 were fitted"):
        model.predict(two, horizon=HORIZON, levels=LEVELS)


def test_others_are_put_beside_a_series_at_the_same_moments() -> None:
    series = TimeSeries(600, 60, np.arange(4.0))
    earlier, later = TimeSeries(480, 60, np.arange(3.0)), TimeSeries(720, 60, np.arange(9.0))
    nothing, long_ago = TimeSeries(0, 60, np.empty(0)), TimeSeries(0, 60, np.ones(3))
    nan = np.nan
    expected = [[2.0, nan, nan, nan], [nan, nan, 0.0, 1.0], [nan] * 4, [nan] * 4]
    assert series.beside([earlier, later, nothing, long_ago]) == replace(series, covariates=np.array(expected))
    assert series.beside([]) is series
    with pytest.raises(InvalidSeries, match="a covariate's step is 30 s, the series' is 60 s"):
        series.beside([TimeSeries(0, 30, np.ones(3))])


def test_a_series_carries_its_covariates_along() -> None:
    series = TimeSeries(600, 60, np.arange(5.0), np.arange(10.0).reshape(2, 5))
    assert series.last(2) == TimeSeries(780, 60, np.array([3.0, 4.0]), np.array([[3.0, 4.0], [8.0, 9.0]]))
    assert series.first(1).covariates == pytest.approx(np.array([[0.0], [5.0]]))
    assert series.until(700).covariates == pytest.approx(np.array([[0.0, 1.0], [5.0, 6.0]]))
    assert series != replace(series, covariates=None)
    with pytest.raises(
        InvalidSeries,
        match=r"covariates must have a row for each and 5 columns, one for each sample, not the shape \(2, 4\)",
    ):
        TimeSeries(600, 60, np.arange(5.0), np.zeros((2, 4)))
    with pytest.raises(InvalidSeries, match="covariates hold an infinity; a sample that is not known is NaN"):
        TimeSeries(600, 60, np.arange(1.0), np.array([[np.inf]]))
