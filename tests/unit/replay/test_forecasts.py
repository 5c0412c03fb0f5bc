from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.calibration import future, running_maximum
from forecasting.errors import FitFailed
from forecasting.models.boosted import FittedBoosted
from forecasting.models.naive import Naive
from forecasting.prepare.calendar import Holidays
from forecasting.refits import fit_times, refit_at
from forecasting.series import TimeSeries
from scaler.cli.replay.jobs import FitJob, Fitted, fit
from scaler.decision.reading import levels_for
from scaler.replay.forecasts import highest_so_far, peaks_of, read_peaks

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


@pytest.mark.parametrize("ladder", [("boosted", "naive"), ("seasonal-profile",), ("arima", "seasonal-profile")])
def test_every_forecaster_of_the_ladder_that_asks_is_told_whose_clocks_and_holidays_the_load_follows(
    ladder: tuple[str, ...],
) -> None:
    known = 280  # too few for arima
    job = FitJob(
        series=TimeSeries(0, 300, 100.0 + 50.0 * np.sin(np.arange(known + 9) / 288 * 2 * np.pi)),
        ladder=ladder,
        parameters={},
        times=(300 * (known - 1),),
        position=0,
        horizon=3,
        levels=(0.5, 0.9),
        history=10_000,
        time_zone="Asia/Tokyo",
        holidays="JP",
    )
    refit = fit(job).refit
    assert refit is not None
    fitted = refit.fitted if isinstance(refit.fitted, FittedBoosted) else getattr(refit.fitted, "design", None)
    assert getattr(fitted, "zone", "") == "Asia/Tokyo"
    assert 0 in getattr(fitted, "holidays", Holidays()).days  # New Year's Day of 1970


class TestRead:
    """Forecasts read as the engine reads them."""

    STEPS = 3

    def fits(self, values: np.ndarray, *, every: int = 100) -> list[Fitted]:
        """Fits to `values`, each put to the test until the next."""
        series = TimeSeries(0, 60, values)
        times = tuple(fit_times(series, train_end=200 * 60, refit_every=every * 60))
        jobs = [
            FitJob(
                series=series,
                ladder=("naive",),
                parameters={},
                times=times,
                position=position,
                horizon=5,
                levels=levels_for(0.9),
                history=100_000,
                steps=self.STEPS,
            )
            for position in range(len(times))
        ]
        return [fit(job) for job in jobs]

    def read(self, values: np.ndarray, fits: list[Fitted], *, back: int = 2) -> np.ndarray:
        tested = [(one.refit, one.ranks) for one in fits if one.refit is not None]
        series = TimeSeries(0, 60, values)
        return read_peaks(series, tested, quantiles=[0.9] * len(tested), steps=self.STEPS, looked_back_on=back)

    def test_what_the_fits_before_have_missed_raises_the_level(self) -> None:
        rng = np.random.default_rng(5)
        values = np.concatenate([rng.normal(100.0, 2.0, 300), rng.normal(100.0, 12.0, 300)])
        fits = self.fits(values)
        peaks = self.read(values, fits)
        plain = peaks_of(
            TimeSeries(0, 60, values), [one.refit for one in fits if one.refit is not None], horizon=5, levels=4
        )
        assert [len(one.ranks) for one in fits] == [97] * 3 + [96]  # from the sample after a fit; whose window is over
        np.testing.assert_array_equal(peaks[200:300], plain[1, 200:300])  # nothing was learned yet
        assert (peaks[400:500] > plain[1, 400:500]).all()
        came = running_maximum(future(values, np.arange(400, 497), 3))[:, -1]
        off = [abs(float((came <= table[400:497, 2]).mean()) - 0.9) for table in (plain[1], peaks)]
        assert off[1] < off[0]

    def test_what_comes_after_a_fit_changes_nothing_before(self) -> None:
        rng = np.random.default_rng(6)
        values = rng.gamma(2.0, 10.0, 520)
        whole = self.read(values, self.fits(values))
        for cut in (301, 350, 402, 500):
            np.testing.assert_array_equal(self.read(values[:cut], self.fits(values[:cut])), whole[:cut])

    def test_without_forecasts_there_is_nothing_to_read(self) -> None:
        assert np.isnan(self.read(np.ones(10), [])).all()
