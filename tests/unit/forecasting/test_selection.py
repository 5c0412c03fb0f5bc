from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.batch import ForecastBatch, predict_many
from forecasting.contest import attempt
from forecasting.errors import InsufficientHistory, InvalidParameter
from forecasting.models.boosted import Boosted
from forecasting.models.naive import Naive
from forecasting.models.seasonal_profile import FittedSeasonalProfile
from forecasting.prepare.calendar import Holidays
from forecasting.selection import Auto, FittedAuto, _used, _weights
from forecasting.serialise import dumps, loads
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.forecaster import FittedForecaster, Forecaster
    from forecasting.windows import IntArray

LEVELS = (0.5, 0.9, 0.95)
START = 1_700_006_400


def walk(n: int) -> TimeSeries:
    """Nothing to be known but the last value."""
    random = np.random.default_rng(8)
    return TimeSeries(START, 300, 1000 + np.cumsum(random.normal(0, 1, n)))


def schedule(days: float) -> TimeSeries:
    random = np.random.default_rng(1)
    n = int(days * 288)
    clock = (START + 300 * np.arange(n)) % 86400
    return TimeSeries(
        START, 300, np.where((clock > 40_000) & (clock < 50_000), 300.0, 20.0) * random.gamma(50, 0.02, n)
    )


def peak_loss(fitted: FittedForecaster, series: TimeSeries, origins: IntArray) -> float:
    """Mean pinball loss of peaks over 6 steps, at LEVELS."""
    quantiles = predict_many(fitted, series, origins, horizon=6, levels=LEVELS).peak[:, :, -1]
    peaks = np.max([series.values[origins + ahead] for ahead in range(1, 7)], axis=0)[:, None]
    above, levels = peaks - quantiles, np.array(LEVELS)
    return float(np.where(above > 0, levels * above, (levels - 1) * above).mean())


@pytest.fixture(scope="module")
def scheduled() -> FittedAuto:
    return Auto().fit(schedule(8), horizon=6, levels=LEVELS)


def test_a_schedule_is_learned_and_the_reason_given(scheduled: FittedAuto) -> None:
    assert not scheduled.unpredictable
    assert set(scheduled.names) <= {"boosted", "seasonal-profile"}
    assert scheduled.weights.shape == (len(scheduled.names), 2, len(scheduled.horizons))
    np.testing.assert_allclose(scheduled.weights.sum(axis=0), 1)
    said = r"daily season found; \S+ beats \S+ by \d+ % and \S.+ by \d+ % over 1\.6 days: \d+ % \S+ and \d+ % \S+"
    assert re.fullmatch(said, scheduled.explanation)


def test_where_nothing_beats_the_last_value_it_has_the_say_and_that_is_said() -> None:
    series = walk(8 * 288)
    past = series.first(6 * 288)
    fitted = Auto().fit(past, horizon=6, levels=LEVELS)
    assert fitted.unpredictable
    assert fitted.names == ("naive", "boosted")
    np.testing.assert_allclose(fitted.weights[0], 0.7)
    assert re.fullmatch(
        r"unpredictable: serving observed load with headroom, or the forecast if higher "
        r"\(70 % naive and 30 % boosted\): no season found; "
        r"nothing beats the last value over 1\.2 days \(.* loses .* % more\)",
        fitted.explanation,
    )
    origins = np.arange(len(past), len(series) - 6)
    naive, boosted, auto = (
        peak_loss(one, series, origins)
        for one in (
            Naive().fit(past, horizon=6, levels=LEVELS),
            Boosted().fit(past, horizon=6, levels=LEVELS),
            fitted,
        )
    )
    assert naive < boosted
    assert auto <= 1.01 * naive


def test_where_the_last_value_is_hardly_ahead_it_has_little_of_the_say() -> None:
    far = np.full((2, 3), 2.0)
    for behind, say in ((0.0, None), (0.01, 0.35), (0.02, 0.7), (0.5, 0.7)):
        losses = {"boosted": np.full((2, 3), 1 + behind), "seasonal-profile": far}
        names = _used(losses)
        assert names == (("boosted",) if say is None else ("naive", "boosted"))
        weights = _weights(names, losses, 3)
        np.testing.assert_allclose(weights, np.array([1.0] if say is None else [say, 1 - say])[:, None, None] + 0 * far)


def test_where_all_that_was_compared_can_no_longer_be_fitted_it_is_the_last_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    series = schedule(4)

    def brittle(forecaster: Forecaster, of: TimeSeries, horizon: int) -> FittedForecaster | None:
        return attempt(forecaster, of, horizon) if forecaster.name == "seasonal-profile" and len(of) < 1152 else None

    monkeypatch.setattr("forecasting.selection.attempt", brittle)
    fitted = Auto().fit(series, horizon=6, levels=LEVELS)
    assert (fitted.names, fitted.unpredictable) == (("naive",), True)


def test_a_few_minutes_of_history_are_the_ladders_first_rung() -> None:
    fitted = Auto().fit(schedule(8).first(40), horizon=3, levels=LEVELS)
    assert fitted.names == ("naive",)
    with pytest.raises(InsufficientHistory) as caught:
        Auto().fit(schedule(8).first(12), horizon=3, levels=LEVELS)
    assert str(caught.value) == "auto needs 30 known samples of history, this series has 12"


def test_a_rhythm_of_minutes_is_learned_within_an_hour() -> None:
    """Of days nothing is known by then, of the rhythm forty cycles are."""
    random = np.random.default_rng(5)
    phase = np.arange(-10, 3590) % 90
    series = TimeSeries(START, 1, np.where(phase < 25, 600.0, 120.0) * (1 + 0.03 * random.standard_normal(3600)))
    fitted = Auto().fit(series, horizon=12, levels=LEVELS)
    assert fitted.names == ("seasonal-profile",)
    assert not fitted.unpredictable
    assert fitted.explanation.startswith("1.5 min season found; seasonal-profile beats the last value by ")
    peak = fitted.predict(series, horizon=12, levels=LEVELS).peak
    assert 100 < peak[1, 7] < 160  # the rise is ten steps from here
    assert peak[0, 11] > 580


def test_an_hour_without_a_rhythm_leaves_the_last_value() -> None:
    random = np.random.default_rng(5)
    series = TimeSeries(START, 1, 1000 + np.cumsum(random.normal(0, 1, 3600)))
    fitted = Auto().fit(series, horizon=12, levels=LEVELS)
    assert fitted.names == ("naive",)
    assert fitted.unpredictable


def test_the_first_days_are_forecast_as_served_other_series_best() -> None:
    fitted = Auto().fit(schedule(0.9), horizon=6, levels=LEVELS)
    assert fitted.names == ("boosted", "lstm", "seasonal-profile", "naive")
    np.testing.assert_allclose(fitted.weights[:, :, 0], [[0.4, 0.5], [0.4, 0.3], [0.1, 0.1], [0.1, 0.1]])
    assert not fitted.unpredictable
    assert fitted.explanation == (
        "no season found; 45 % boosted, 35 % lstm, 10 % seasonal-profile and 10 % naive, as on the first days of other "
        "series: the history is too short to compare them"
    )


def test_from_a_day_on_what_methods_lost_on_its_last_third_counts_too() -> None:
    fitted = Auto().fit(schedule(1.1), horizon=6, levels=LEVELS)
    assert fitted.names == ("boosted", "lstm", "seasonal-profile", "naive")
    assert re.search(r"; \S+ beats \S.+ by \d+ % and \S.+ by \d+ % over 525 minutes: \d+ % ", fitted.explanation)
    assert (fitted.weights[:2].sum(axis=0) > 0.85).all()  # boosted and lstm, which began with 0.8 of all
    # of so little history there is no profile to compare; the last value is what losses are relative to
    np.testing.assert_allclose(fitted.weights[2], fitted.weights[3])


def test_a_day_on_which_nothing_beat_the_last_value_says_nothing_of_the_methods() -> None:
    walk = 100 + np.cumsum(np.random.default_rng(0).normal(0, 3, 300))
    fitted = Auto().fit(TimeSeries(START, 300, walk), horizon=6, levels=LEVELS)
    np.testing.assert_allclose(fitted.weights[:, :, 0], [[0.4, 0.5], [0.4, 0.3], [0.1, 0.1], [0.1, 0.1]])
    assert re.fullmatch(
        r"no season found; 45 % boosted, 35 % lstm, 10 % seasonal-profile and 10 % naive, as on the first days of "
        r"other series: nothing beats the last value over 500 minutes \((\S+ loses \d+ % (more|less)(, )?)+\)",
        fitted.explanation,
    )


def test_the_choice_knows_nothing_of_the_future() -> None:
    series = schedule(10)
    cut = series.first(8 * 288)
    altered = series.values.copy()
    altered[8 * 288 :] = 1e6
    later = TimeSeries(series.start, series.step, altered)
    first = Auto().fit(cut, horizon=6, levels=LEVELS)
    second = Auto().fit(later.until(cut.end), horizon=6, levels=LEVELS)
    assert dumps(first) == dumps(second)
    origins = np.arange(7 * 288, 8 * 288)
    batches = [predict_many(first, s, origins, horizon=6, levels=LEVELS) for s in (series, later, cut)]
    for batch in batches[1:]:
        np.testing.assert_array_equal(batch.peak, batches[0].peak)
        np.testing.assert_array_equal(batch.values, batches[0].values)


def test_a_chosen_model_is_small(scheduled: FittedAuto) -> None:
    assert len(dumps(scheduled)) <= 64 * 1024


def test_it_beats_its_members_worst_on_a_real_trace(trace: Callable[[str], TimeSeries]) -> None:
    series = trace("nasa_http_jul95")
    day = 86400 // series.step
    train = series.first(len(series) - day)
    origins = np.arange(len(series) - day, len(series) - 10, 15)
    came = np.array([series.values[o + 1 : o + 11].max() for o in origins])

    def loss(fitted: object) -> float:
        batch = predict_many(fitted, series, origins, horizon=10, levels=(0.9,))  # type: ignore[arg-type]  # either
        miss = came - batch.peak[:, 0, -1]
        return float(np.maximum(0.9 * miss, -0.1 * miss).mean())

    auto = Auto().fit(train, horizon=10, levels=LEVELS)
    naive = Naive().fit(train, horizon=10, levels=LEVELS)
    assert loss(auto) < 0.8 * loss(naive)


def test_it_follows_the_clocks_of_its_users() -> None:
    fitted = Auto(timezone="Europe/Berlin").fit(schedule(1), horizon=6, levels=LEVELS)  # young: all take part
    profile = loads(fitted.members[fitted.names.index("seasonal-profile")])
    assert isinstance(profile, FittedSeasonalProfile)
    assert profile.design.zone == "Europe/Berlin"
    with pytest.raises(InvalidParameter) as caught:
        Auto(timezone="Berlin")
    assert str(caught.value) == "there is no time zone 'Berlin'; one is named like 'Europe/Berlin'"


def test_on_holidays_the_profile_that_learned_how_the_load_rests_has_the_say() -> None:
    monday = 1_779_667_200  # 2026-05-25 00:00 UTC: Whit Monday
    fitted = FittedAuto(
        step=3600,
        names=("boosted", "seasonal-profile"),
        members=(b"", b""),
        horizons=(1,),
        weights=np.full((2, 2, 1), 0.5),
        floor=0.0,
        reach=1,
        explanation="",
        unpredictable=False,
        zone="Europe/Berlin",
        holidays=Holidays.around("DE", TimeSeries(monday // 3600 * 3600, 3600, np.ones(1)), zone="Europe/Berlin"),
    )
    origins = np.array([monday - 5 * 3600, monday + 20 * 3600])  # 21:00 on Sunday, and 22:00 on Monday, in Berlin
    high, low = (
        ForecastBatch(origins, 3600, (0.5,), np.full((2, 1, 3), load), np.full((2, 1, 3), load))
        for load in (100.0, 1.0)
    )
    found = fitted.wholes([fitted], [high, low])
    holiday, plain = 100.0**0.2, 10.0
    assert found.values[0, 0] == pytest.approx([plain, plain, holiday])
    assert found.values[1, 0] == pytest.approx([holiday, plain, plain])
    assert FittedAuto.wholes([replace(fitted, holidays=Holidays())], [high, low]).values == pytest.approx(plain)
    assert loads(dumps(fitted)).holidays == fitted.holidays  # type: ignore[attr-defined]  # it is a FittedAuto


def test_where_nothing_comes_nothing_is_forecast() -> None:
    """Logarithms tell none from next to none by a floor alone; a quantile of what is mostly 0 is 0."""
    random = np.random.default_rng(4)
    n = 6 * 288
    clock = (START + 300 * np.arange(n)) % 86400
    series = TimeSeries(
        START, 300, np.where((clock > 30_000) & (clock < 60_000), 500.0, 0.0) * random.gamma(9, 1 / 9, n)
    )
    fitted = Auto().fit(series.first(5 * 288), horizon=6, levels=LEVELS)
    assert fitted.idle == pytest.approx(fitted.floor / 2)
    at = np.arange(5 * 288, n - 6)
    found = predict_many(fitted, series, at, horizon=6, levels=(0.5, 0.9))
    night, day = (clock[at] < 25_000) | (clock[at] > 65_000), (clock[at] > 31_000) & (clock[at] < 57_000)
    assert np.mean(found.peak[night] == 0.0) > 0.97
    assert (found.peak[day, 1, -1] > 300).all()
    for forecasts in (found.values, found.peak):
        assert not ((forecasts > 0) & (forecasts < fitted.idle)).any()
