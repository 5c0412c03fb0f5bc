from __future__ import annotations

import numpy as np
import pytest

from forecasting.errors import InvalidParameter
from forecasting.prepare.resample import coarsened
from forecasting.series import TimeSeries

NAN = np.nan


def test_a_coarse_sample_is_the_mean_of_those_up_to_its_time() -> None:
    # 60 is the first of (0, 300]: 60, 120, 180, 240, 300
    coarse = coarsened(TimeSeries(60, 60, np.arange(1.0, 12.0)), 5)
    assert (coarse.start, coarse.step) == (300, 300)
    assert coarse.values == pytest.approx([3, 8])


def test_the_grid_is_aligned_to_the_epoch_and_incomplete_blocks_are_dropped() -> None:
    coarse = coarsened(TimeSeries(180, 60, np.arange(3.0, 14.0)), 5)
    assert (coarse.start, coarse.step) == (600, 300)
    assert coarse.values == pytest.approx([8])


def test_a_block_with_less_than_half_known_is_unknown() -> None:
    values = np.array([NAN, NAN, 3, 5, 1, NAN, NAN, 4])
    coarse = coarsened(TimeSeries(60, 60, values), 4)
    assert coarse.values.tolist()[0] == 4
    assert np.isnan(coarsened(TimeSeries(60, 60, np.array([NAN, NAN, NAN, 1])), 4).values).all()


def test_a_new_sample_changes_no_old_mean() -> None:
    values = np.random.default_rng(0).random(100)
    whole = coarsened(TimeSeries(120, 60, values), 7)
    for n in range(100):
        part = coarsened(TimeSeries(120, 60, values[:n]), 7)
        assert part.values.tolist() == whole.values[: len(part)].tolist()


def test_factor_1_is_the_series_itself_and_0_is_refused() -> None:
    series = TimeSeries(0, 60, np.arange(3.0))
    assert coarsened(series, 1) is series
    with pytest.raises(InvalidParameter, match=r"^factor must be 1 or more, not 0$"):
        coarsened(series, 0)
