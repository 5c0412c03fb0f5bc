from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from forecasting.batch import predict_many
from forecasting.errors import FitFailed, InsufficientHistory, InvalidParameter
from forecasting.evaluation import pinball_loss, rolling_forecasts, rolling_origin
from forecasting.forecast import Forecast
from forecasting.models.naive import Naive
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class _Known:
    """Forecasts the last value, and 10 more for each level above the median: arithmetic by hand."""

    context_length: int = 1

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        last = context.values[-1]
        if np.isnan(last):
            raise InsufficientHistory("known", have=0, need=1)
        rows = [np.full(horizon, last + (10 if level > 0.5 else 0)) for level in levels]
        return Forecast.of(
            origin=context.end, step=context.step, levels=levels, values=np.array(rows), peak=np.array(rows)
        )


@dataclass
class _Counting:
    """Counts fits, and fails those it is told to."""

    name: ClassVar[str] = "counting"
    fail: tuple[int, ...] = ()
    fits: int = 0

    def min_history(self, step: int) -> int:
        return step

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> _Known:
        del series, horizon, levels
        self.fits += 1
        if self.fits in self.fail:
            raise FitFailed(f"fit {self.fits} failed")
        return _Known()


def _series(values: Sequence[float]) -> TimeSeries:
    return TimeSeries(0, 60, np.array(values))


def test_pinball_loss_weighs_shortfall_by_the_level_and_excess_by_the_rest() -> None:
    assert pinball_loss(np.array([10.0, 0.0]), np.array([0.0, 10.0]), 0.9).tolist() == pytest.approx([9.0, 1.0])


def test_scores_are_what_one_computes_by_hand() -> None:
    series = _series([0, 2, 4, 6, 26, 6, 6])
    result = rolling_origin(series, _Counting(), train_end=180, horizons=(1, 2), levels=(0.5, 0.9))
    score = result.values[1]
    # from t = 180, 240, 300 (the last origin has no outcome): errors of the median 20, -20, 0; step 2
    assert score.n == 3
    assert score.mase == pytest.approx(40 / 3 / 2)
    assert score.pinball[0.5] == pytest.approx(20 / 3)
    # quantile 0.9 lies 10 higher: shortfall 10, excess 30 and 10
    assert score.pinball[0.9] == pytest.approx((9 + 3 + 1) / 3)
    assert score.coverage == {0.5: pytest.approx(2 / 3), 0.9: pytest.approx(2 / 3)}
    # peaks over two steps: 26, 6 against 6, 26: shortfall 20, excess 20
    assert result.peaks[2].n == 2
    assert result.peaks[2].pinball[0.5] == pytest.approx(10)


def test_refits_come_at_their_time_and_see_the_past_only() -> None:
    series = _series(range(20))
    refits = list(
        rolling_forecasts(series, _Counting(), train_end=540, horizon=2, levels=(0.5,), refit_every=240, stride=3)
    )
    assert [refit.at for refit in refits] == [540, 780, 1020]
    assert [refit.batch.origins.tolist() for refit in refits] == [[540, 720], [900], [1080]]


def test_a_later_fit_that_fails_leaves_the_one_before_in_use() -> None:
    series = _series(range(20))
    forecaster = _Counting(fail=(2,))
    result = rolling_origin(series, forecaster, train_end=540, horizons=(1,), levels=(0.5,), refit_every=240)
    assert result.failures == ("fit 2 failed",)
    assert result.values[1].n == 10


def test_a_first_fit_that_fails_is_the_callers_business() -> None:
    with pytest.raises(FitFailed):
        rolling_origin(_series(range(20)), _Counting(fail=(1,)), train_end=540, horizons=(1,), levels=(0.5,))


def test_origins_without_a_forecast_or_an_outcome_do_not_count() -> None:
    values = [float(v) for v in range(20)]
    values[12] = np.nan
    result = rolling_origin(_series(values), _Counting(), train_end=540, horizons=(1,), levels=(0.5,))
    assert result.values[1].n == 8  # ten origins have an outcome's place; one has no origin, one no outcome


def test_times_come_from_the_callers_clock() -> None:
    ticks = iter(range(100))
    result = rolling_origin(
        _series(range(20)),
        _Counting(),
        train_end=540,
        horizons=(1,),
        levels=(0.5,),
        refit_every=300,
        timer=lambda: float(next(ticks)),
    )
    assert result.fit_seconds == (1.0, 1.0, 1.0)
    assert result.predict_seconds == pytest.approx(3 / 11)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_end": 1140}, "train_end 1140 must lie inside the series, from 0 to before 1140"),
        ({"train_end": -60}, "train_end -60 must lie inside the series, from 0 to before 1140"),
        ({"train_end": 540, "stride": 0}, "stride must be 1 or more, not 0"),
        ({"train_end": 540, "refit_every": -1}, "refit_every must be 1 or more, not -1"),
    ],
)
def test_impossible_plans_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        list(rolling_forecasts(_series(range(20)), _Counting(), horizon=1, levels=(0.5,), **arguments))  # type: ignore[arg-type]  # integers all
    assert str(caught.value) == message


def test_cutting_the_series_off_changes_no_earlier_forecast() -> None:
    random = np.random.default_rng(2)
    series = _series(list(np.abs(random.normal(50, 10, 400))))
    arguments = {"train_end": 12000, "horizon": 5, "refit_every": 3600}
    whole = list(rolling_forecasts(series, Naive(), levels=(0.5, 0.9), **arguments))  # type: ignore[arg-type]  # integers all
    cut = list(rolling_forecasts(series.first(300), Naive(), levels=(0.5, 0.9), **arguments))  # type: ignore[arg-type]  # integers all
    for one, other in zip(whole, cut, strict=False):
        n = len(other.batch)
        assert np.array_equal(one.batch.values[:n], other.batch.values)
        assert np.array_equal(one.batch.peak[:n], other.batch.peak)


def test_a_forecaster_without_a_vectorised_path_is_asked_one_by_one() -> None:
    batch = predict_many(_Known(), _series([1, 2, np.nan, 4]), np.array([0, 2, 3]), horizon=2, levels=(0.5, 0.9))
    assert batch.known.tolist() == [True, False, True]
    assert batch.values[2].tolist() == [[4, 4], [14, 14]]
    assert batch.forecast(2).origin == 180
