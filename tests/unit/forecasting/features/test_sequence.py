from __future__ import annotations

import numpy as np
import pytest

from forecasting.features.pasts import Rows, Stack
from forecasting.features.seen import FLOOR
from forecasting.features.sequence import ASKS, STATICS, TOKENS, Inputs, inputs, reach
from forecasting.series import TimeSeries
from tests.support.networks import daily_load

FIELDS = ("tokens", "asks", "statics", "level", "spread")


def shown(series: TimeSeries, origins: list[int], horizons: list[int], unit: float = 2.0) -> Inputs:
    return inputs(Rows.of(series, np.array(origins), unit), horizons)


@pytest.mark.parametrize("step", [15, 60, 300, 3600])
def test_shapes_are_the_same_on_every_grid_and_all_is_finite(step: int) -> None:
    found = shown(daily_load(1.0, 1, days=3, step=step), [40, 60], [1, 2])
    assert found.tokens.shape == (2, *TOKENS)
    assert found.asks.shape == (2, 4, ASKS)
    assert found.statics.shape == (2, STATICS)
    assert all(np.isfinite(getattr(found, field)).all() for field in FIELDS)
    assert (found.spread > 0).all()


def test_a_load_a_million_times_larger_looks_the_same() -> None:
    small, large = daily_load(1.0, 1), daily_load(1e6, 1)
    one, other = shown(small, [700], [1, 6, 12], 2.0), shown(large, [700], [1, 6, 12], 2e6)
    for field in FIELDS:
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), atol=1e-5)


def test_nothing_beyond_the_reach_and_nothing_later_than_the_origin_is_looked_at() -> None:
    series = daily_load(1.0, 1, days=20)
    origin, back = len(series) - 100, reach(300)
    altered = series.values.copy()
    altered[: origin + 1 - back], altered[origin + 1 :] = 77.0, 88.0
    cut = series.first(origin + 1).last(back)
    plain = shown(series, [origin], [1, 12])
    for other, at in ((TimeSeries(series.start, 300, altered), origin), (cut, len(cut) - 1)):
        found = shown(other, [at], [1, 12])
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(found, field), getattr(plain, field))


def test_what_was_not_seen_is_masked_as_if_it_had_never_been() -> None:
    series = daily_load(1.0, 1, days=6)
    young = series.last(300)
    whole = inputs(Rows.of(series, np.array([len(series) - 1]), 2.0, seen=np.array([300])), [1, 12])
    short = shown(young, [299], [1, 12])
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(whole, field), getattr(short, field))


def test_masks_say_which_days_and_bins_are_known() -> None:
    series = daily_load(1.0, 1, days=6)
    found = shown(series.last(400), [399], [1])
    days = found.statics[0, 12:]
    assert days.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]  # only one day ago is known, of 1 to 7 and 14
    assert found.tokens[0, :, 3].tolist() == [1] * TOKENS[0]  # the last day is all there
    assert 0 < found.tokens[0, :, 5].mean() < 1  # of the day before, some
    assert not found.tokens[0, :, 7].any()  # of a week before, nothing


def test_an_origin_whose_last_quarter_of_an_hour_is_missing_has_no_level() -> None:
    series = daily_load(1.0, 1, days=2)
    values = series.values.copy()
    values[-20:] = np.nan
    found = shown(TimeSeries(series.start, 300, values), [len(values) - 1, len(values) - 18], [1])
    assert np.isnan(found.level).tolist() == [True, False]  # a short gap is filled


def test_tokens_of_a_straight_line_are_the_means_of_their_bins() -> None:
    values = np.arange(1.0, 2001.0)
    found = shown(TimeSeries(0, 60, values), [1999], [60], unit=1000.0)
    spread = found.spread[0, 0]
    last_minute, last_bin_of_two = found.tokens[0, -1], found.tokens[0, -11]
    level = np.log(np.mean(values[-15:]) / 1000 + FLOOR)
    assert found.level[0] == pytest.approx(level)
    assert last_minute[0] == pytest.approx((np.log(2000 / 1000 + FLOOR) - level) / spread, rel=1e-5)
    assert last_bin_of_two[0] == pytest.approx(
        (np.log(np.mean([1989, 1990]) / 1000 + FLOOR) - level) / spread, rel=1e-4
    )
    assert last_bin_of_two[1] > last_bin_of_two[0] > last_bin_of_two[2]


@pytest.mark.parametrize("horizons", [[1, 6, 12], [1, 288]])
def test_ends_of_many_series_look_as_each_does_alone(horizons: list[int]) -> None:
    # of any length, with gaps at any place, short ones filled and long ones not
    stacked = [daily_load(10.0**n, n, days=0.5 + 5 * n) for n in range(3)]
    gappy = stacked[2].values.copy()
    gappy[[3, 500, 700, 701, -4]] = np.nan
    gappy[-400:-300] = np.nan
    stacked.append(TimeSeries(stacked[2].start, 300, gappy))
    units = [2.0 * 10.0**n for n in (0, 1, 2, 2)]
    together = inputs(Stack(stacked, units), horizons)
    for row, (series, unit) in enumerate(zip(stacked, units, strict=True)):
        alone = shown(series, [len(series) - 1], horizons, unit)
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(together, field)[row], getattr(alone, field)[0])
