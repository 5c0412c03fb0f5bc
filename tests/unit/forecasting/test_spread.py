from __future__ import annotations

import numpy as np
import pytest

from forecasting.series import TimeSeries
from forecasting.spread import Spread, calibrated
from forecasting.windows import Windows


def _windows(values: list[float], n: int = 1) -> Windows:
    series = TimeSeries(0, 60, np.array(values))
    return Windows.at(series, np.full(n, len(values) - 1), len(values))


def test_forth_and_back_are_inverse_and_keep_order() -> None:
    load = np.array([0.0, 1e-9, 1.0, 50.0, 1e12])
    for power in (1.0, 0.5, 0.25):
        spread = Spread(power=power)
        assert spread.back(spread.forth(load)) == pytest.approx(load)
        assert (np.diff(spread.forth(load)) > 0).all()
    assert Spread(power=0.5).back(np.array([-3.0])).tolist() == [0.0]


def test_a_rougher_past_makes_a_wider_band() -> None:
    calm, wild = _windows([5, 5.1, 5, 5.1, 5]), _windows([5, 9, 1, 9, 5])
    spread = Spread(roughness=1.0, usual=1.0)
    narrow, wide = spread.width(calm), spread.width(wild)
    assert narrow is not None
    assert wide is not None
    assert narrow[0] == pytest.approx(0.25 + 0.1)
    assert wide[0] == pytest.approx(0.25 + 6.0)
    assert Spread().width(wild) is None


def test_missing_neighbours_do_not_count_and_none_at_all_is_the_usual() -> None:
    spread = Spread(roughness=1.0, usual=2.0)
    width = spread.width(_windows([1, np.nan, 7, 3]))
    assert width is not None
    assert width[0] == pytest.approx(0.25 + 4 / 2)
    width = spread.width(_windows([1, np.nan, 3]))
    assert width is not None
    assert width[0] == pytest.approx(1.25)


def test_the_scale_is_chosen_by_what_serves() -> None:
    random = np.random.default_rng(0)
    n, horizon = 2000, 4
    level = np.repeat(random.uniform(1, 400, n // 20), 20)
    counts = random.poisson(level[:, None], (n, horizon)).astype(np.float64)
    paths = np.repeat(level[:, None], horizon, axis=1)
    windows = _windows([1.0, 2.0, 1.0], n)
    spread, _ = calibrated([(windows, counts, paths)], plain=False)
    assert spread.power == 0.5  # the one that steadies counts
    additive = np.repeat(level[:, None], horizon, axis=1) + random.normal(0, 5, (n, horizon)) + 100
    spread, bands = calibrated([(windows, additive, paths + 100)], plain=False)
    assert spread == Spread()
    assert bands.count == n
    spread, _ = calibrated([(windows, counts, paths)], plain=True)
    assert spread == Spread()


def test_hours_that_scatter_more_get_wider_bands() -> None:
    random = np.random.default_rng(0)
    n = 5 * 288
    origins = np.arange(n)
    night = origins % 288 < 144
    noise = random.normal(0, 1, (n, 3)) * np.where(night, 1.0, 10.0)[:, None]
    windows = Windows.at(TimeSeries(0, 300, np.full(n, 100.0)), origins, 2)
    spread, bands = calibrated([(windows, 100 + noise, np.full((n, 3), 100.0))], plain=False)
    assert len(spread.hours) == 12
    width = spread.width(windows)
    assert width is not None
    values, _ = bands.apply(spread.forth(np.full((n, 3), 100.0)), (0.9,), width)
    upper = spread.back(values)[:, 0, 0] - 100
    # a tenth in truth; an hour's residuals are drawn towards the whole
    assert 0.1 < upper[72] / upper[216] < 0.25
    covered = noise[:, 0] <= upper
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)
    # with bands alike all day it would be 1.0 by night and 0.8 by day
    assert np.mean(covered[~night]) > 0.83
