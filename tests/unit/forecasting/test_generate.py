from __future__ import annotations

import numpy as np
import pytest

from forecasting.generate import generate_series
from forecasting.prepare.seasons import find_seasons


def test_a_seed_names_a_series() -> None:
    one, same, other = (generate_series(np.random.default_rng(seed), days=2) for seed in (5, 5, 6))
    assert one == same
    assert one != other


@pytest.mark.parametrize("step", [15, 60, 300])
def test_a_series_has_the_length_and_step_asked_for(step: int) -> None:
    series = generate_series(np.random.default_rng(3), days=3, step=step)
    assert (len(series), series.step) == (3 * 86400 // step, step)


def test_loads_are_as_varied_as_workloads_and_none_is_absurd() -> None:
    made = [generate_series(np.random.default_rng(seed), days=8, step=300) for seed in range(120)]
    for series in made:
        known = series.values[~np.isnan(series.values)]
        assert known.size > 0.9 * len(series)
        assert 0 <= known.min() <= known.max() <= 1e12
    middle = np.array([np.nanmedian(series.values) for series in made])
    assert np.quantile(middle, 0.9) > 1000 * max(1.0, np.quantile(middle, 0.1))
    assert 5 <= sum(bool(np.isnan(series.values).any()) for series in made) <= 40  # gaps
    assert 5 <= sum(bool((series.values == 0).mean() > 0.05) for series in made) <= 60  # idle at times
    peaked = [float(np.nanmax(series.values) / np.nanmean(series.values)) for series in made]
    calm, rough = np.quantile(peaked, [0.2, 0.9])
    assert calm < 5
    assert rough > 10
    daily = [any(season.length == 288 for season in find_seasons(series)) for series in made]
    assert 30 <= sum(daily) <= 115  # most have a day, some have none
