from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
