from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasting.features.scalefree import Kind, Past, Scale
from forecasting.features.seen import FLOOR, MISSING
from forecasting.prepare.calendar import Holidays
from forecasting.series import TimeSeries

ASKS: list[tuple[int, Kind]] = [(1, "value"), (10, "peak"), (60, "value"), (60, "peak")]
START = 1_700_006_400


def series(n: int, *, step: int = 60, gaps: float = 0.01) -> TimeSeries:
    random = np.random.default_rng(3)
    day = step * np.arange(n) / 86400
    values = 50 + 30 * np.sin(2 * np.pi * day) + random.gamma(2, 3, n)
    values[random.random(n) < gaps] = np.nan
    return TimeSeries(START, step, values)


@pytest.mark.parametrize("step", [60, 300])
def test_features_use_nothing_after_the_origin(step: int) -> None:
    past = series(4 * 86400 // step, step=step)
    origins = np.arange(len(past) - 200, len(past) - 100)
    altered = past.values.copy()
    altered[origins[-1] + 1 :] = 1e6
    scale = Scale.of(past.values)
    plain = Past(past, scale).rows(origins, ASKS)
    other = Past(TimeSeries(past.start, step, altered), scale).rows(origins, ASKS)
    cut = Past(past.first(int(origins[-1]) + 1), scale).rows(origins, ASKS)
    np.testing.assert_array_equal(plain.x, other.x)
    np.testing.assert_array_equal(plain.x, cut.x)
    np.testing.assert_array_equal(plain.spread, cut.spread)


@pytest.mark.parametrize("horizon", [1430, 1440, 2000])
def test_a_window_of_a_day_is_looked_for_where_it_has_ended(horizon: int) -> None:
    past = series(6 * 1440)
    scale, at = Scale.of(past.values), np.array([4 * 1440])
    asks: list[tuple[int, Kind]] = [(horizon, "value"), (horizon, "peak")]
    cut = Past(past.first(int(at[0]) + 1), scale).rows(at, asks)
    np.testing.assert_array_equal(Past(past, scale).rows(at, asks).x, cut.x)


def test_a_moment_has_the_same_features_whatever_lies_before_its_reach() -> None:
    past = series(20 * 1440)
    scale = Scale.of(past.values)
    reach = Past.reach(60, 60)
    long = Past(past, scale).rows(np.array([len(past) - 1]), ASKS)
    short = Past(past.last(reach), scale).rows(np.array([reach - 1]), ASKS)
    np.testing.assert_array_equal(long.x, short.x)
    np.testing.assert_array_equal(long.standardised(), short.standardised())


def test_one_origin_has_the_features_that_it_has_among_many() -> None:
    past = Past(series(5 * 1440), Scale(60.0, 17))
    origins = np.arange(3000, 7000)
    many = past.rows(origins, ASKS).x.reshape(len(ASKS), len(origins), -1)
    for i in (0, 1777, 3999):
        np.testing.assert_array_equal(past.rows(origins[i : i + 1], ASKS).x, many[:, i])


@pytest.mark.parametrize("factor", [2.0**-40, 2.0**40])
def test_features_do_not_depend_on_the_unit(factor: float) -> None:
    past = series(3 * 1440)
    larger = TimeSeries(past.start, past.step, past.values * factor)
    origins = np.arange(2000, 4000, 50)
    plain = Past(past, Scale.of(past.values)).rows(origins, ASKS)
    other = Past(larger, Scale.of(larger.values)).rows(origins, ASKS)
    np.testing.assert_array_equal(plain.x, other.x)


def test_the_target_is_the_log_ratio_of_what_comes_to_the_last_quarter_of_an_hour() -> None:
    values = np.full(100, 10.0)
    values[70] = 40.0
    past = Past(TimeSeries(START, 60, values), Scale(10.0, 0))
    assert past.target(10, "peak")[65] == pytest.approx(np.log((4 + FLOOR) / (1 + FLOOR)))
    assert past.target(5, "value")[65] == pytest.approx(np.log((4 + FLOOR) / (1 + FLOOR)))
    assert past.target(4, "value")[65] == pytest.approx(0.0)
    assert past.target(4, "peak")[65] == pytest.approx(0.0)
    assert np.isnan(past.target(10, "peak")[-10:]).all()
    assert not np.isnan(past.target(10, "peak")[:-10]).any()


def test_what_is_not_known_is_marked_and_all_else_is_finite() -> None:
    past = Past(series(1000, gaps=0.3), Scale(60.0, 0))
    x = past.rows(np.arange(0, 1000, 7), ASKS).x
    assert np.isfinite(x).all()
    assert (x == MISSING).any(axis=0).sum() > 20  # a day ago is unknown within the first day
    assert (x >= MISSING).all()


def test_the_clock_is_local_and_a_holiday_is_a_sunday() -> None:
    start = 1_779_664_500  # Sunday 2026-05-24 23:15 UTC: in Berlin it is Whit Monday already
    values = TimeSeries(start, 60, np.full(200, 5.0))
    holidays = Holidays.around("DE", values, zone="Europe/Berlin")

    def clock(**where: Any) -> list[float]:
        row = Past(values, Scale(5.0, 0), **where).rows(np.array([195]), [(1, "value")]).x[0]
        return [float(row[i]) for i in range(-6, -2)]  # before the spread and the horizon

    assert clock() == [2 * 60 + 30, 1, 30, 0]  # half past two on Monday, by UTC
    assert clock(zone="Europe/Berlin") == [4 * 60 + 30, 1, 30, 0]
    assert clock(zone="Europe/Berlin", holidays=holidays) == [4 * 60 + 30, 0, 30, 0]


@pytest.mark.parametrize(
    ("values", "unit"),
    [([0.0, 0.0], 1.0), ([5.0] * 10, 5.0), ([np.nan, -3.0], 1.0), ([0.0] * 99 + [7.0], 7.0), ([], 1.0)],
)
def test_a_scale_is_positive_whatever_the_loads(values: list[float], unit: float) -> None:
    assert Scale.of(np.array(values)).unit == unit


def test_features_are_those_that_the_shipped_fleet_model_was_trained_on() -> None:
    """A feature added, moved or redefined makes forecasting/fleet.bin nonsense without an error: retrain it."""
    random = np.random.default_rng(3)
    n = 16 * 288
    values = 50 + 30 * np.sin(2 * np.pi * np.arange(n) / 288) + random.gamma(2, 3, n)
    past = Past(TimeSeries(START, 300, values), Scale.of(values))
    means = past.rows(np.arange(15 * 288, n - 20, 7), [(2, "value"), (6, "peak")]).x.mean(axis=0)
    golden = np.loadtxt(Path(__file__).parents[3] / "golden" / "fleet_features.txt")
    assert means == pytest.approx(golden, abs=1e-3)
