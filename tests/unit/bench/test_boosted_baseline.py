"""The baseline of the bench keeps the contract of forecasters, and is what its description says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.conformance import check_forecaster
from forecasting.errors import InsufficientHistory
from forecasting.features.names import NAMES
from forecasting.series import TimeSeries
from tests.bench.boosted_baseline import FEATURES, BoostedBaseline

# as the bench has it, but for few small trees from few rows
SMALL = BoostedBaseline(trees=4, leaves=4, rows=600, value_minutes=(15, 60), peak_minutes=(5,))
DAY = 288


def rhythm(days: int, *, seed: int = 5) -> TimeSeries:
    random = np.random.default_rng(seed)
    at = np.arange(days * DAY) / DAY
    return TimeSeries(0, 300, 100 * np.exp(0.8 * np.sin(2 * np.pi * at) + random.normal(0, 0.1, at.size)))


def test_it_keeps_the_contract_and_sees_nothing_ahead() -> None:
    check_forecaster(SMALL, step=300, horizon=12, days=6.0, max_stored_bytes=None)


def test_it_forecasts_in_proportion_to_the_load() -> None:
    series = rhythm(6)
    large = TimeSeries(0, 300, 1024 * series.values)
    small, great = (SMALL.fit(one, horizon=12, levels=(0.5,)) for one in (series, large))
    a = small.predict(series, horizon=12, levels=(0.5, 0.9)).values
    b = great.predict(large, horizon=12, levels=(0.5, 0.9)).values
    np.testing.assert_allclose(b, 1024 * a, rtol=1e-5)
    assert (a > 0).all()


def test_levels_are_corrected_by_what_the_latest_days_missed() -> None:
    """Loads have been rougher since the last fifth began: what was learned before covers too little of them."""
    random = np.random.default_rng(9)
    noise = np.concatenate([random.normal(0, 0.05, 8 * DAY), random.normal(0, 0.3, 3 * DAY)])
    series = TimeSeries(0, 300, 100 * np.exp(noise))
    origins = np.arange(len(series) - 2 * DAY, len(series) - 12)
    covered = []
    for conformal in (False, True):
        fitted = replace(SMALL, conformal=conformal, trees=10).fit(series.first(10 * DAY), horizon=12, levels=(0.9,))
        batch = fitted.predict_many(series, origins, horizon=12, levels=(0.9,))
        covered.append(float(np.mean(series.values[origins + 12] <= batch.values[:, 0, -1])))
    assert fitted.shifts[:, 1].min() > 0.1  # at 0.9, of each horizon
    assert covered[0] < 0.85
    assert covered[1] == pytest.approx(0.9, abs=0.04)


def test_less_than_two_days_are_refused() -> None:
    with pytest.raises(InsufficientHistory) as caught:
        SMALL.fit(rhythm(2).first(2 * DAY - 1), horizon=12, levels=(0.9,))
    assert str(caught.value) == "baseline needs 576 known samples of history, this series has 575"


def test_its_features_are_the_ones_described() -> None:
    names = [NAMES[column] for column in FEATURES]
    assert len(names) == 48
    assert names[0] == "lag 0"
    assert names[24:29] == [
        "1 days ago: came",
        "1 days ago: ramp",
        "2 days ago: came",
        "2 days ago: ramp",
        "3 days ago: came",
    ]
    assert names[34:44] == [
        *("7 days' mean: came", "7 days' mean: ramp", "14 days' mean: came", "14 days' mean: ramp"),
        *(
            "hour ago: came",
            "hour ago: ramp",
            "hours' mean: came",
            "hours' mean: ramp",
            "hours' highest: ramp",
            "level",
        ),
    ]
    assert names[44:] == ["minute of the day", "day of the week", "minute of the hour", "minute of the quarter"]
