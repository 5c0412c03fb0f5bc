from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from forecasting.errors import InsufficientHistory, InvalidSeries
from forecasting.forecast import Forecast
from forecasting.models.boosted import Boosted, FittedBoosted
from forecasting.models.naive import Naive
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.models.seasonal_profile import FittedSeasonalProfile, SeasonalProfile
from forecasting.models.theta import Theta
from forecasting.prepare.shifts import Shift
from forecasting.selection import Auto
from forecasting.serialise import dumps
from forecasting.series import TimeSeries
from forecasting.shifted import FittedWithShifts
from forecasting.spread import Spread
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


def test_those_whose_level_has_changed_are_asked_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    series = [daily(3, seed=1), daily(3, seed=2)]
    base = SeasonalProfile().fit(series[0], horizon=6, levels=LEVELS)
    ends = [series[0].end - 86400, series[1].end + 300]  # the one is over, the other is not there yet
    shifted = [
        FittedWithShifts(step=300, base=dumps(base), shifts=(Shift(at=at, factor=3.0),), explanation="") for at in ends
    ]
    fitted: list[Any] = [*shifted, base, base]
    seen = [*series, *series]
    alone = [one.predict(context, horizon=6, levels=LEVELS) for one, context in zip(fitted, seen, strict=True)]
    passes = []
    one_pass = FittedSeasonalProfile.predict_all

    def counted(some: Any, contexts: Any, **asked: Any) -> Any:
        passes.append(len(some))
        return one_pass(some, contexts, **asked)

    monkeypatch.setattr(FittedSeasonalProfile, "predict_all", counted)
    assert predict_together(fitted, seen, horizon=6, levels=LEVELS) == alone
    assert passes == [3]
    assert alone[0] != alone[2]


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


def _cycles(n: int, *, seed: int, step: int = 60) -> TimeSeries:
    """A cycle of so many samples under the day's."""
    series = daily(2.5, seed=seed, step=step)
    return TimeSeries(START, step, series.values * (2 + np.sin(2 * np.pi * np.arange(len(series)) / n)))


@pytest.fixture(scope="module")
def profiles() -> list[tuple[Any, TimeSeries]]:
    """Fits of different seasons, clocks, units and spreads, and what they see: with gaps, short or not at all."""
    rough = TimeSeries(START, 60, 1e-9 * _cycles(45, seed=6).values ** 3)
    series = [_cycles(60, seed=1), _cycles(75, seed=2), _cycles(90, seed=3), daily(2.5, seed=4, step=60), rough]
    zones = ["UTC", "Europe/Berlin", "Asia/Tokyo", "UTC", "Europe/Berlin"]
    made: list[tuple[Any, TimeSeries]] = []
    for one, zone in zip(series, zones, strict=True):
        method = SeasonalProfile(timezone=zone, holidays="DE" if zone == "Europe/Berlin" else "")
        made.append((method.fit(one, horizon=12, levels=LEVELS), one))
    late, holes = series[0].values.copy(), series[1].values.copy()
    late[-3:], holes[-90:-60] = np.nan, np.nan
    for row, seen in ((0, late), (1, holes), (2, series[2].values[-50:]), (1, late)):
        made.append((made[row][0], TimeSeries(START, 60, seen)))
    first = made[0][0]
    spreads = (
        Spread(power=0.5, roughness=1.0, usual=0.3),
        Spread(power=0.25, roughness=0.5, usual=0.1, hours=tuple(np.linspace(0.5, 1.5, 12).tolist())),
        Spread(power=0.25, roughness=0.5, usual=0.2, hours=tuple(np.linspace(1.5, 0.5, 12).tolist())),
        Spread(power=0.5, roughness=1.0, usual=0.7),
    )
    made += [(replace(first, spread=spread), series[0]) for spread in spreads]
    return made


@pytest.mark.parametrize("horizon", [1, 7, 12, 40])
def test_profiles_of_any_seasons_say_together_what_they_say_alone(
    profiles: list[tuple[Any, TimeSeries]], horizon: int
) -> None:
    fitted, seen = [one for one, _ in profiles], [context for _, context in profiles]
    assert len({one.shared for one in fitted}) == 1
    batch = FittedSeasonalProfile.predict_all(fitted, seen, horizon=horizon, levels=LEVELS)
    for one, context, found in zip(fitted, seen, batch.forecasts(), strict=True):
        assert found == one.predict(context, horizon=horizon, levels=LEVELS)


def test_a_profile_that_sees_nothing_known_says_so_in_company(profiles: list[tuple[Any, TimeSeries]]) -> None:
    (one, seen), (other, unlike) = profiles[:2]
    gone = TimeSeries(START, 60, np.full(3000, np.nan))
    found = predict_together([one, other, one], [gone, unlike, seen], horizon=5, levels=LEVELS)
    assert str(found[0]) == "a forecast needs 1 known samples of history, this series has 0"
    assert found[1:] == [
        other.predict(unlike, horizon=5, levels=LEVELS),
        one.predict(seen, horizon=5, levels=LEVELS),
    ]


@pytest.mark.parametrize("method", [Naive(), SeasonalNaive(season_length=288), Theta()])
def test_any_path_method_says_together_what_it_says_alone(method: Any) -> None:
    series = [daily(3, seed=1), daily(3, seed=2, size=7e5), daily(3, seed=3, size=1e-5)]
    late = series[2].values.copy()
    late[-2:] = np.nan
    series[2] = TimeSeries(START, 300, late)
    fitted = [method.fit(one, horizon=6, levels=LEVELS) for one in series]
    together = predict_together(fitted, series, horizon=8, levels=LEVELS)
    for one, context, found in zip(fitted, series, together, strict=True):
        assert found == one.predict(context, horizon=8, levels=LEVELS)
