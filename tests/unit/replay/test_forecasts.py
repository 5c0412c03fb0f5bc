from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.errors import FitFailed
from forecasting.models.naive import Naive
from forecasting.refits import fit_times, refit_at
from forecasting.series import TimeSeries
from scaler.replay.forecasts import highest_so_far, peaks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.forecaster import FittedForecaster

RNG = np.random.default_rng(3)
SERIES = TimeSeries(600, 60, 50 + RNG.gamma(2.0, 5.0, 400))


def test_fits_are_due_from_train_end_on() -> None:
    assert fit_times(SERIES, train_end=6000, refit_every=7200) == [6000, 13200, 20400]
    assert fit_times(SERIES, train_end=6059, refit_every=7230) == [6000, 13200, 20400]
    assert fit_times(SERIES, train_end=SERIES.end - 60, refit_every=60) == [SERIES.end - 60, SERIES.end]


def made(series: TimeSeries, forecaster: Naive | Refuses, every: int) -> np.ndarray:
    times = fit_times(series, train_end=6000, refit_every=every)
    refits = [refit_at(series, forecaster, times, n, horizon=3, levels=(0.5, 0.9)) for n in range(len(times))]
    return peaks_of(series, refits, horizon=3, levels=2)


def test_there_is_a_forecast_at_every_sample_from_train_end_on() -> None:
    peaks = made(SERIES, Naive(), 7200)
    assert peaks.shape == (2, 400, 3)
    assert np.isnan(peaks[:, :90]).all()
    assert not np.isnan(peaks[:, 90:]).any()


def test_fits_in_any_order_say_what_one_walk_says() -> None:
    times = fit_times(SERIES, train_end=6000, refit_every=60 * 100)
    backwards = [refit_at(SERIES, Naive(), times, n, horizon=3, levels=(0.5, 0.9)) for n in reversed(range(len(times)))]
    np.testing.assert_array_equal(peaks_of(SERIES, backwards, horizon=3, levels=2), made(SERIES, Naive(), 6000))


@dataclass(frozen=True)
class Refuses:
    """Cannot be fitted to a series that ends where it is told."""

    ends: tuple[int, ...]
    name: str = "refuses"

    def min_history(self, step: int) -> int:
        return step

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedForecaster:
        if series.end in self.ends:
            raise FitFailed("not this one")
        return Naive().fit(series, horizon=horizon, levels=levels)


def test_a_fit_that_fails_leaves_the_one_before_in_use() -> None:
    peaks = made(SERIES, Refuses((12000,)), 6000)
    np.testing.assert_array_equal(peaks[:, 90:190], made(SERIES, Naive(), 6000)[:, 90:190])
    np.testing.assert_array_equal(peaks[:, 190:290], made(SERIES, Naive(), 12000)[:, 190:290])
    np.testing.assert_array_equal(peaks[:, 290:], made(SERIES, Naive(), 6000)[:, 290:])


def test_a_first_fit_that_fails_is_an_error() -> None:
    with pytest.raises(FitFailed):
        made(SERIES, Refuses((6000,)), 6000)


def test_the_highest_is_that_of_the_window() -> None:
    series = TimeSeries(0, 60, np.array([np.nan, 3.0, 1.0, np.nan, 2.0]))
    np.testing.assert_array_equal(highest_so_far(series, window=180), [np.nan, 3.0, 3.0, 3.0, 2.0])


def test_what_is_forecast_at_the_last_sample_does_not_depend_on_there_being_more() -> None:
    # a fit is due at the end of the cut series
    cut = SERIES.until(12000)
    np.testing.assert_array_equal(made(cut, Naive(), 6000)[:, 190], made(SERIES, Naive(), 6000)[:, 190])
