from __future__ import annotations

import numpy as np
import pytest

from forecasting.features.latest import rows_at_end
from forecasting.features.scalefree import Kind, Past, Scale
from forecasting.prepare.calendar import Holidays
from forecasting.series import TimeSeries

START = 1_700_006_400
KINDS: tuple[Kind, ...] = ("value", "peak")


def series(n: int, *, step: int = 60, gaps: float = 0.01, seed: int = 3) -> TimeSeries:
    random = np.random.default_rng(seed)
    day = step * np.arange(n) / 86400
    values = 50 + 30 * np.sin(2 * np.pi * day) + random.gamma(2, 3, n)
    values[random.random(n) < gaps] = np.nan
    return TimeSeries(START // step * step, step, values)


@pytest.mark.parametrize(
    ("past", "period", "horizons"),
    [
        (series(11_520, gaps=0.0), 0, (1, 3, 5, 10)),
        (series(21_000), 97, (1, 60)),
        (series(3000, gaps=0.3), 17, (2, 15)),
        (series(4000, step=300), 0, (1, 12)),
        (series(200, gaps=0.0), 0, (1, 3, 10)),
        (series(30), 1000, (1,)),
        (series(500, step=3600, gaps=0.1), 30, (1, 24, 60)),
        (series(12_000), 1000, (1, 240, 480)),
        (series(4000), 0, (1, 1440)),
        (series(40, step=86_400), 7, (1, 3)),
    ],
    ids=[
        "minutes",
        "three weeks",
        "gaps",
        "5 minutes",
        "hours",
        "half an hour",
        "hourly",
        "far",
        "a day ahead",
        "daily",
    ],
)
def test_the_end_has_the_features_that_it_has_among_all_positions(
    past: TimeSeries, period: int, horizons: tuple[int, ...]
) -> None:
    scale = Scale(Scale.of(past.values).unit, period)
    asks = [(horizon, kind) for kind in KINDS for horizon in horizons]
    want = Past(past, scale).rows(np.array([len(past) - 1]), asks)
    got = rows_at_end([past], [scale], horizons)
    np.testing.assert_array_equal(got.x, want.x)
    np.testing.assert_array_equal(got.spread, want.spread)
    np.testing.assert_array_equal(got.level, want.level)
    assert got.ratios == want.ratios


def test_several_series_are_rows_of_one_table() -> None:
    parts = [series(11_520, seed=1), series(900, seed=2, gaps=0.0), series(20_000, seed=3, gaps=0.2)]
    scales = [Scale(40.0, 0), Scale(70.0, 37), Scale(55.0, 500)]
    clocks = [("UTC", Holidays()), ("Asia/Kolkata", Holidays(days=(19_676, 19_681))), ("Europe/Berlin", Holidays())]
    together = rows_at_end(parts, scales, (1, 7, 30), clocks=clocks)
    for i, (part, scale, clock) in enumerate(zip(parts, scales, clocks, strict=True)):
        alone = rows_at_end([part], [scale], (1, 7, 30), clocks=[clock])
        np.testing.assert_array_equal(together.x[i::3], alone.x)
        np.testing.assert_array_equal(together.spread[i::3], alone.spread)
        past = Past(part, scale, zone=clock[0], holidays=clock[1])
        want = past.rows(np.array([len(part) - 1]), [(h, kind) for kind in KINDS for h in (1, 7, 30)])
        np.testing.assert_array_equal(alone.x, want.x)


def test_an_end_without_a_recent_sample_has_no_level() -> None:
    values = series(2000).values.copy()
    values[-40:] = np.nan
    assert np.isnan(rows_at_end([TimeSeries(START, 60, values)], [Scale(50.0, 0)], (1, 5)).level).all()
