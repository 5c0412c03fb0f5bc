from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.batch import predict_many
from forecasting.evaluation import rolling_origin
from forecasting.models.naive import Naive
from forecasting.models.seasonal_profile import SeasonalProfile
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable


def _cycles(n: int) -> TimeSeries:
    """A cycle of 90 s, a sample a second: quiet, a rise, a plateau, a fall."""
    t = np.arange(n)
    shape = np.interp(t % 90, [0, 20, 26, 42, 56, 90], [0, 0, 1, 0.95, 0, 0])
    noise = np.random.default_rng(3).normal(1, 0.03, n)
    return TimeSeries(1_700_000_100, 1, (120 + 480 * shape) * noise)


def test_on_a_grid_of_seconds_it_looks_at_minutes_not_hours() -> None:
    fitted = SeasonalProfile().fit(_cycles(3600), horizon=22, levels=(0.5,))
    assert [profile.length for profile in fitted.design.profiles] == [90]
    assert fitted.design.spans == (10, 30, 120, 480)
    assert fitted.design.smoothing == 7
    assert fitted.context_length == 480


def test_on_a_grid_of_minutes_it_looks_at_four_hours(daily: Callable[..., TimeSeries]) -> None:
    fitted = SeasonalProfile().fit(daily(days=4, step=60), horizon=10, levels=(0.5,))
    assert fitted.design.spans == (5, 15, 60, 240)
    assert fitted.design.smoothing == 10
    assert fitted.context_length == 1440 + 10 + 1


@pytest.mark.parametrize("days", [2, 7, 12])
def test_a_job_of_every_quarter_of_an_hour_is_seen_at_all_its_minutes(days: int) -> None:
    """Of 7 and 12 days every fifth and eighth minute was looked at: of 7, three of the fifteen."""
    random = np.random.default_rng(4)
    n = days * 1440
    load = random.poisson(100 + 600.0 * (np.arange(n + 30) % 15 // 2 == 3)).astype(np.float64)
    series = TimeSeries(1_700_006_400, 60, load)
    fitted = SeasonalProfile().fit(series.first(n), horizon=30, levels=(0.9,))
    batch = predict_many(fitted, series, np.arange(n - 15, n), horizon=30, levels=(0.9,))
    came = np.stack([series.values[o + 1 : o + 31] for o in range(n - 15, n)])
    np.testing.assert_array_equal(batch.values[:, 0] > 400, came > 400)
    assert np.abs(batch.values[:, 0] - came).max() < 150


def test_a_cycle_of_seconds_is_followed() -> None:
    series = _cycles(4500)
    losses = {
        forecaster.name: rolling_origin(
            series, forecaster, train_end=series.start + 3600, horizons=(22,), levels=(0.9,), stride=5
        )
        for forecaster in (SeasonalProfile(), Naive())
    }
    naive, found = losses["naive"], losses["seasonal-profile"]
    assert found.peaks[22].pinball[0.9] < 0.06 * naive.peaks[22].pinball[0.9]
    assert found.values[22].pinball[0.9] < 0.06 * naive.values[22].pinball[0.9]
