from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from forecasting.errors import InsufficientHistory, InvalidSeries
from forecasting.forecast import Forecast
from forecasting.models.boosted import Boosted, FittedBoosted
from forecasting.models.naive import Naive
from forecasting.selection import Auto
from forecasting.series import TimeSeries
from forecasting.together import predict_together

START = 1_700_006_400
LEVELS = (0.5, 0.9, 0.99)


def daily(days: float, *, seed: int, step: int = 300, size: float = 50.0) -> TimeSeries:
    random = np.random.default_rng(seed)
    n = int(days * 86400 / step)
    usual = 1.5 + np.sin(2 * np.pi * (START + step * np.arange(n)) / 86400)
    return TimeSeries(START, step, size * usual * random.gamma(20, 1 / 20, n))


@pytest.fixture(scope="module")
def mixed() -> tuple[list[Any], list[TimeSeries]]:
    """Forecasters of all kinds, and what they see: some can be asked together, some cannot."""
    series = [daily(4, seed=1), daily(3, seed=2, size=7e5), daily(1, seed=3), daily(1.2, seed=4, size=0.1)]
    fitted = [Auto().fit(one, horizon=6, levels=LEVELS) for one in series]
    hourly = daily(20, seed=5, step=3600)
    others = [
        (Boosted().fit(series[0], horizon=6, levels=LEVELS), series[1]),
        (Boosted().fit(series[0], horizon=12, levels=LEVELS), series[1]),
        (Boosted().fit(hourly, horizon=6, levels=LEVELS), hourly),
        (Naive().fit(series[0], horizon=6, levels=LEVELS), series[0]),
    ]
    return [*fitted, *(one for one, _ in others)], [*series, *(seen for _, seen in others)]


@pytest.mark.parametrize("horizon", [1, 4, 6, 9])
def test_each_gets_the_forecast_that_it_gives_alone(mixed: tuple[list[Any], list[TimeSeries]], horizon: int) -> None:
    fitted, seen = mixed
    together = predict_together(fitted, seen, horizon=horizon, levels=LEVELS)
    for one, context, found in zip(fitted, seen, together, strict=True):
        assert found == one.predict(context, horizon=horizon, levels=LEVELS)


def test_one_that_cannot_say_anything_keeps_the_others_from_nothing(
    mixed: tuple[list[Any], list[TimeSeries]],
) -> None:
    fitted, seen = mixed
    gone = seen[0].values.copy()
    gone[-20:] = np.nan
    alone = Boosted().fit(seen[0], horizon=6, levels=LEVELS)
    blind, other_step = TimeSeries(START, 300, gone), TimeSeries(START, 600, gone)
    asked = [alone, fitted[4], alone, alone]
    found = predict_together(asked, [blind, seen[4], other_step, seen[4]], horizon=6, levels=LEVELS)
    assert isinstance(found[0], InsufficientHistory)
    with pytest.raises(InsufficientHistory) as alone_raised:
        alone.predict(blind, horizon=6, levels=LEVELS)
    assert str(found[0]) == str(alone_raised.value)
    assert isinstance(found[2], InvalidSeries)
    assert str(found[2]) == "the context's step is 600 s, but the forecaster was fitted on a step of 300 s"
    assert isinstance(found[1], Forecast)
    assert found[1] == found[3]


def test_boosted_asked_at_once_must_share_the_dear_part(mixed: tuple[list[Any], list[TimeSeries]]) -> None:
    fitted, seen = mixed
    with pytest.raises(InvalidSeries, match="must be fitted on one step, one fleet model, for one horizon"):
        FittedBoosted.predict_all(fitted[4:6], seen[4:6], horizon=3, levels=LEVELS)
