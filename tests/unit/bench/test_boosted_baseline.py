"""The baseline of the bench keeps the contract of forecasters, and is what its description says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.conformance import check_forecaster
from forecasting.errors import InsufficientHistory
from forecasting.features.scalefree import Past, Scale
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
    """They are picked by their place among the product's: each is what its place promises."""
    series = rhythm(16)
    past, at, h = Past(series, Scale.of(series.values)), 15 * DAY, 12
    x = dict(zip(FEATURES, past.rows(np.array([at]), [(h, "value")]).x[0, list(FEATURES)], strict=True))
    log = np.log(series.values / Scale.of(series.values).unit + 0.02)
    level = past.level
    assert x[0] == pytest.approx(log[at] - level[at], abs=1e-5)  # the first lag
    assert x[23] == pytest.approx(log[at + 1 - 7 * DAY : at + 1].max() - level[at], abs=1e-5)  # the longest maximum
    for place, days in ((32, 1), (34, 2), (36, 3), (38, 7), (40, 14)):
        assert x[place] == pytest.approx(log[at + h - days * DAY] - level[at], abs=1e-5)
        assert x[place + 1] == pytest.approx(log[at + h - days * DAY] - level[at - days * DAY], abs=1e-5)
    ramps = [log[at + h - days * DAY] - level[at - days * DAY] for days in range(1, 15)]
    assert x[49] == pytest.approx(np.mean(ramps[:7]), abs=1e-3)
    assert x[57] == pytest.approx(np.mean(ramps), abs=1e-3)
    assert x[77] == pytest.approx(log[at] - level[at], abs=1e-5)  # an hour ago, an hour ahead of that: now
    assert x[95] == (at * 5) % 1440
    assert len(FEATURES) == 48
