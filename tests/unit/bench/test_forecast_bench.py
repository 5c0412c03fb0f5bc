"""What the bench of forecasts computes by itself; the rest of it is `forecasting.evaluation`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.evaluation import Refit, rolling_forecasts
from forecasting.models.naive import Naive
from forecasting.series import TimeSeries
from tests.bench.as_read import LEVELS_READ, as_read
from tests.bench.ties import shared_coverage
from tests.bench.yardstick import proportional_losses

LEVELS = tuple(sorted(LEVELS_READ))
DAY = 288


def walk(days: int, *, seed: int = 3) -> TimeSeries:
    random = np.random.default_rng(seed)
    return TimeSeries(
        0, 300, 100 * np.exp(0.1 * np.sin(np.arange(days * DAY) / 40) + random.normal(0, 0.05, days * DAY))
    )


def forecasts(series: TimeSeries, *, trained: int, refit_every: int | None = 86400) -> tuple[Refit, ...]:
    end = series.start + (trained * DAY - 1) * series.step
    return tuple(rolling_forecasts(series, Naive(), train_end=end, horizon=6, levels=LEVELS, refit_every=refit_every))


def test_bands_proportional_to_the_last_value_lose_in_proportion_to_the_load() -> None:
    losses = []
    for factor in (1.0, 1000.0):
        series = TimeSeries(0, 300, factor * walk(4).values)
        refits = forecasts(series, trained=2)
        losses.append(proportional_losses(series, refits, horizons=(1, 6), levels=(0.5, 0.9), history=DAY * 2))
    small, large = losses
    for horizon in (1, 6):
        for level in (0.5, 0.9):
            assert large[horizon][level] == pytest.approx(1000 * small[horizon][level])
            assert small[horizon][level] > 0
    still = TimeSeries(0, 300, np.full(4 * DAY, 7.0))
    found = proportional_losses(still, forecasts(still, trained=2), horizons=(1,), levels=(0.9,), history=2 * DAY)
    assert found == {1: {0.9: pytest.approx(0.0, abs=1e-12)}}


def by_day(refit: Refit) -> tuple[Refit, ...]:
    """The forecasts of one fit as if it had been made anew each day, and had come out the same."""
    parts = []
    for first in range(0, len(refit.positions), DAY):
        some = slice(first, first + DAY)
        batch = refit.batch
        day = replace(batch, origins=batch.origins[some], values=batch.values[some], peak=batch.peak[some])
        parts.append(replace(refit, batch=day, positions=refit.positions[some]))
    return tuple(parts)


@pytest.mark.parametrize(("noise", "low", "high"), [(0.05, 0.88, 0.92), (0.08, 0.7, 0.85)])
def test_what_the_day_before_exceeded_is_read_higher(noise: float, low: float, high: float) -> None:
    random = np.random.default_rng(1)
    values = 100 * np.exp(np.concatenate([random.normal(0, 0.05, 4 * DAY), random.normal(0, noise, 6 * DAY)]))
    series = TimeSeries(0, 300, values)
    (refit,) = forecasts(series, refit_every=None, trained=4)
    plain, read = (
        as_read(series, days, horizon=3, quantile=0.9, stride=1, refit_every=DAY) for days in ((refit,), by_day(refit))
    )
    assert plain.loss == 1.0  # nothing is learned before the second fit
    assert low < plain.coverage < high
    if noise > 0.05:  # the load has become rougher than what was learned from
        assert read.coverage > plain.coverage + 0.015
        assert read.loss < 0.97
    else:
        assert read.coverage == pytest.approx(plain.coverage, abs=0.01)
        assert read.loss == pytest.approx(1.0, abs=0.005)


def test_a_load_that_idles_is_covered_as_promised_if_ties_are_shared() -> None:
    """Of a right forecast for a load that is 0 in 0.97 of its minutes: at or below it is more than was promised."""
    random = np.random.default_rng(2)
    busy, n = 0.03, 40_000
    came = np.where(random.uniform(size=n) < busy, random.exponential(size=n), 0.0)
    # the quantiles of that load, and of one that never idles: the latter's coverage is what it is without sharing
    levels = (0.4, 0.5, 0.9, 0.95, 0.98, 0.995)
    idling = np.array([-np.log(min((1 - level) / busy, 1.0)) for level in levels])
    always = -np.log(1 - np.array(levels))
    for level, promised in ((0.9, 0.9), (0.95, 0.95), (0.98, 0.98)):
        shared = shared_coverage(came, np.tile(idling, (n, 1)), levels, level)
        plain = np.mean(came <= idling[levels.index(level)])
        assert shared.mean() == pytest.approx(promised, abs=0.025 if level < 0.97 else 0.003)
        assert plain == pytest.approx(max(level, 1 - busy), abs=0.003)
    load = random.exponential(size=n)
    shared = shared_coverage(load, np.tile(always, (n, 1)), levels, 0.9)
    np.testing.assert_array_equal(shared, load <= always[levels.index(0.9)])


def test_an_outcome_shares_the_levels_whose_quantiles_it_equals() -> None:
    levels = (0.5, 0.9, 0.95)
    quantiles = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0], [0.0, 2.0, 2.0], [0.0, 2.0, 2.0], [1.0, 2.0, np.nan]])
    came = np.array([0.0, 0.0, 2.0, np.nan, 1.0])
    shared = shared_coverage(came, quantiles, levels, 0.9)
    # all levels; those up to 0.9; those between 0.5 and the end
    np.testing.assert_allclose(shared, [0.9, 1.0, 0.8, np.nan, np.nan])
