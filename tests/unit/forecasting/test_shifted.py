from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from forecasting.batch import predict_many
from forecasting.calibration import future
from forecasting.conformance import check_forecaster
from forecasting.evaluation import pinball_loss
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.models.seasonal_profile import SeasonalProfile
from forecasting.prepare.shifts import Shift, levelled
from forecasting.registry import fitting
from forecasting.selection import Auto
from forecasting.serialise import dumps, loads
from forecasting.series import TimeSeries
from forecasting.shifted import FittedWithShifts, WithShifts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.models.naive import Naive

STEP, HOUR, DAY = 300, 12, 288
START = 1_767_571_200  # 2026-01-05 00:00 UTC
AT = 11 * DAY + 2 * HOUR
LEVELS, HORIZON = (0.5, 0.9), 12


def moved(factor: float = 1 / 3, *, days: int = 13, seed: int = 3) -> TimeSeries:
    """A day and noise, on another level from the twelfth day's second hour on."""
    random = np.random.default_rng(seed)
    n = np.arange(days * DAY)
    values = (100 + 80 * np.sin(2 * np.pi * n / DAY)) * np.exp(random.normal(0, 0.05, n.size))
    values[AT:] *= factor
    return TimeSeries(START, STEP, values)


def fitted(base: Naive | SeasonalNaive | SeasonalProfile, series: TimeSeries) -> FittedWithShifts:
    found = WithShifts(base=base).fit(series, horizon=HORIZON, levels=LEVELS)
    assert isinstance(found, FittedWithShifts)
    return found


@pytest.mark.parametrize("factor", [3.0, 1 / 3])
@pytest.mark.parametrize("base", [SeasonalNaive(), SeasonalProfile()])
def test_the_day_after_is_forecast_better(base: SeasonalNaive | SeasonalProfile, factor: float) -> None:
    series, now = moved(factor), AT + 9 * HOUR
    past, origins = series.first(now), np.arange(now, now + 14 * HOUR)
    came = future(series.values, origins, HORIZON)
    losses = []
    for model in (fitted(base, past), base.fit(past, horizon=HORIZON, levels=LEVELS)):
        said = predict_many(model, series, origins, horizon=HORIZON, levels=LEVELS)
        losses.append(pinball_loss(came[:, None], said.values, np.array(LEVELS)[:, None]).mean(axis=(0, 2)))
    assert (losses[0] < 0.8 * losses[1]).all()


def test_it_is_told_in_words_after_the_forecasters_own() -> None:
    series = moved().first(AT + 9 * HOUR)
    assert (
        fitted(SeasonalNaive(), series).explanation == "level x0.33 since 2026-01-16 02:00 UTC: earlier history scaled"
    )
    auto = Auto().fit(series.last(40), horizon=HORIZON, levels=LEVELS)
    model = FittedWithShifts(step=STEP, base=dumps(auto), shifts=(Shift(at=0, factor=2.0),), explanation="")
    assert model.unpredictable is auto.unpredictable is True
    found = fitting(Auto(), series).fit(series, horizon=HORIZON, levels=LEVELS)
    assert isinstance(found, FittedWithShifts)
    own = getattr(loads(found.base), "explanation", "")
    assert found.explanation == f"{own}; level x0.33 since 2026-01-16 02:00 UTC: earlier history scaled"
    assert found.unpredictable is False


def test_where_nothing_has_changed_the_forecaster_is_as_it_was() -> None:
    series = moved(1.0)
    made = WithShifts(base=SeasonalNaive())
    assert dumps(made.fit(series, horizon=HORIZON, levels=LEVELS)) == dumps(
        SeasonalNaive().fit(series, horizon=HORIZON, levels=LEVELS)
    )
    assert made.name == "seasonal-naive"
    assert made.min_history(60) == SeasonalNaive().min_history(60)


def test_forecasts_from_before_the_change_are_at_the_level_of_then() -> None:
    series = moved().first(AT + 9 * HOUR)
    model = fitted(SeasonalNaive(season_length=DAY), series)
    origins = np.array([AT - 5 * DAY, AT - HORIZON - 1, AT + HOUR])
    middle = model.predict_many(series, origins, horizon=HORIZON, levels=(0.5,)).values[:, 0]
    ratio = middle / future(series.values, origins, HORIZON)
    np.testing.assert_allclose(ratio, 1.0, atol=0.3)


def test_forecasts_are_the_same_alone_in_a_batch_and_after_a_restart() -> None:
    series = moved()
    model = fitted(SeasonalProfile(), series.first(AT + 9 * HOUR))
    origins = np.arange(AT - DAY, AT + DAY, 97)
    many = model.predict_many(series, origins, horizon=HORIZON, levels=LEVELS)
    again = loads(dumps(model))
    for row, origin in enumerate(origins):
        seen = series.first(int(origin) + 1)  # the future cut off
        for context in (seen, seen.last(model.context_length)):
            assert again.predict(context, horizon=HORIZON, levels=LEVELS) == many.forecast(row)


def test_the_largest_loads_stay_finite() -> None:
    series = moved(3.0)
    huge = TimeSeries(START, STEP, series.values / series.values.max() * np.finfo(np.float64).max)
    model = fitted(SeasonalNaive(), huge)
    said = model.predict_many(huge, np.array([9 * DAY, AT + DAY]), horizon=HORIZON, levels=LEVELS)
    assert np.isfinite(said.values).all()
    assert np.isfinite(said.peak).all()


@dataclass(frozen=True)
class Halved:
    """Holds the level to have changed half-way through every series."""

    name: ClassVar[str] = "halved"

    def min_history(self, step: int) -> int:
        return SeasonalNaive().min_history(step)

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedWithShifts:
        shifts = (
            Shift(at=series.start + len(series) // 2 * series.step, factor=0.5),
            Shift(at=series.start, factor=3.0),
        )
        base = SeasonalNaive().fit(levelled(series, shifts), horizon=horizon, levels=levels)
        return FittedWithShifts(step=series.step, base=dumps(base), shifts=shifts, explanation="")


def test_it_conforms() -> None:
    check_forecaster(Halved())
