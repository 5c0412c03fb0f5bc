"""What the bench of forecasts computes by itself; the rest of it is `forecasting.evaluation`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.evaluation import Refit, rolling_forecasts
from forecasting.models.naive import Naive
from forecasting.series import TimeSeries
from tests.bench.as_read import LEVELS_READ, as_read
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
