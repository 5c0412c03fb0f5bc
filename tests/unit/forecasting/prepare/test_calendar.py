from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest

from forecasting.errors import InvalidParameter
from forecasting.models.boosted import Boosted
from forecasting.models.seasonal_profile import SeasonalProfile
from forecasting.prepare.calendar import (
    Holidays,
    calendar_features,
    checked_zone,
    local_steps,
    local_times,
    utc_offsets,
)
from forecasting.prepare.regions import checked_region
from forecasting.selection import Auto
from forecasting.series import TimeSeries


def _at(*moments: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([int(datetime.fromisoformat(m).replace(tzinfo=UTC).timestamp()) for m in moments])


def test_offsets_follow_summer_time() -> None:
    times = _at("2026-03-29T00:59", "2026-03-29T01:00", "2026-10-25T00:59", "2026-10-25T01:00")
    assert utc_offsets(times, "Europe/Berlin").tolist() == [3600, 7200, 7200, 3600]
    assert utc_offsets(times, "UTC").tolist() == [0] * 4
    assert utc_offsets(times[:1], "Asia/Kathmandu").tolist() == [20700]
    assert utc_offsets(times.reshape(2, 2), "Europe/Berlin").shape == (2, 2)


def test_local_time_is_what_the_clocks_show() -> None:
    times = _at("2026-07-01T07:00", "2026-12-01T08:00")
    assert (local_times(times, "Europe/Berlin") % 86400 // 3600).tolist() == [9, 9]
    assert (local_steps(times, 60, "Europe/Berlin") % 1440).tolist() == [540, 540]


def _around(day: str, region: str, zone: str = "UTC") -> Holidays:
    end = int(_at(f"{day}T00:00")[0])
    return Holidays.around(region, TimeSeries(end, 3600, np.zeros(1)), zone=zone)


def test_holidays_begin_at_local_midnight() -> None:
    unity = _around("2026-09-25", "DE", "Europe/Berlin")
    times = _at("2026-10-02T21:59", "2026-10-02T22:00", "2026-10-03T21:59", "2026-10-03T22:00")
    assert unity.among(local_times(times, "Europe/Berlin")).tolist() == [False, True, True, False]
    # Corpus Christi is a holiday in Bavaria, not in Berlin
    corpus = _at("2026-06-04T12:00")
    assert _around("2026-06-01", "DE-BY").among(corpus).tolist() == [True]
    assert _around("2026-06-01", "DE-BE").among(corpus).tolist() == [False]


def test_holidays_are_known_from_the_beginning_of_the_past_to_two_months_after_its_end() -> None:
    series = TimeSeries(int(_at("2025-12-25T00:00")[0]), 86400, np.zeros(8))
    days = np.array(Holidays.around("US", series, zone="UTC").days) * 86400
    # Christmas; New Year; Martin Luther King's, Washington's birthday
    assert (
        days.tolist()
        == _at(*(f"{day}T00:00" for day in ("2025-12-25", "2026-01-01", "2026-01-19", "2026-02-16"))).tolist()
    )
    assert Holidays.around("", series, zone="UTC") == Holidays()


def test_a_holiday_is_moved_to_the_day_of_rest_of_its_week() -> None:
    # Whit Monday, noon, is Sunday; the day after stays Tuesday
    times = _at("2026-05-25T12:00", "2026-05-26T12:00")
    assert _around("2026-05-20", "DE").moved(times).tolist() == _at("2026-05-31T12:00", "2026-05-26T12:00").tolist()
    # where people rest on Saturday: Passover, a Thursday
    assert _around("2026-03-20", "IL").moved(_at("2026-04-02T12:00")).tolist() == _at("2026-04-04T12:00").tolist()
    assert Holidays().moved(times) is times


@pytest.mark.parametrize("region", ["XX", "DE-QQ", "de-by", "-BY"])
def test_an_unknown_region_is_refused(region: str) -> None:
    refused = partial(checked_region, region), *(partial(m, holidays=region) for m in (Auto, Boosted, SeasonalProfile))
    for ask in refused:
        with pytest.raises(InvalidParameter) as caught:
            ask()
        assert str(caught.value) == (
            f"no calendar of holidays is known for '{region}'; a country is given like 'DE', a part of it like 'DE-BY'"
        )


@pytest.mark.parametrize("name", ["Europe/Brelin", "", "Europe", "../etc/passwd", "a\0b"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        checked_zone(name)
    assert str(caught.value) == f"there is no time zone {name!r}; one is named like 'Europe/Berlin'"


def test_features_are_those_of_the_local_clock() -> None:
    # a Monday, 06:00 in New York
    features = calendar_features(_at("2026-06-15T10:00"), "America/New_York")
    assert {name: round(float(value[0]), 6) for name, value in features.items()} == {
        "day_sine": 1.0,
        "day_cosine": 0.0,
        "week_sine": round(float(np.sin(2 * np.pi / 28)), 6),
        "week_cosine": round(float(np.cos(2 * np.pi / 28)), 6),
        "weekday": 0.0,
        "hour": 6.0,
    }


def test_a_profile_in_local_time_keeps_its_hours_across_a_clock_change() -> None:
    start = int(_at("2026-03-16T00:00")[0])
    times = start + 300 * np.arange(288 * 16)
    busy = local_times(times, "Europe/Berlin") % 86400 // 3600
    values = np.where((busy >= 9) & (busy < 17), 200.0, 50.0) + np.random.default_rng(0).normal(0, 3, times.size)
    series = TimeSeries(start, 300, values)
    # Tuesday after the change, 08:45 in Berlin; the last day of history is cut, so only the profile knows
    seen = series.until(float(_at("2026-03-31T06:45")[0]))
    ahead = {
        zone: SeasonalProfile(season_length=288, timezone=zone)
        .fit(series.until(float(_at("2026-03-29T01:00")[0])), horizon=6, levels=(0.5,))
        .predict(seen, horizon=6, levels=(0.5,))
        .values[0, -1]
        for zone in ("Europe/Berlin", "UTC")
    }
    assert ahead["Europe/Berlin"] > 150
    assert ahead["UTC"] < ahead["Europe/Berlin"]


def test_a_holiday_is_forecast_like_a_sunday_and_not_learned_for_its_weekday() -> None:
    start = int(_at("2026-05-04T00:00")[0])
    times = start + 900 * np.arange(96 * 23)
    local = local_times(times, "Europe/Berlin")
    holidays = Holidays.around("DE-BY", TimeSeries(start, 900, np.zeros(times.size)), zone="Europe/Berlin")
    at_work = (
        (local % 86400 // 3600 >= 8) & (local % 86400 // 3600 < 18) & ((holidays.moved(local) // 86400 + 3) % 7 < 5)
    )
    values = np.where(at_work, 400.0, 50.0) + np.random.default_rng(0).normal(0, 3, times.size)
    series = TimeSeries(start, 900, values)

    def ahead(region: str, until: str, moment: str) -> float:
        """The median at a moment, forecast one hour before."""
        method = SeasonalProfile(timezone="Europe/Berlin", holidays=region)
        fitted = method.fit(series.until(float(_at(until)[0])), horizon=4, levels=(0.5,))
        seen = series.until(float(_at(moment)[0]) - 3600)
        return float(fitted.predict(seen, horizon=4, levels=(0.5,)).values[0, -1])

    # Whit Monday, half past eight: people sleep; Tuesday, they are back
    assert ahead("", "2026-05-24T22:00", "2026-05-25T06:30") > 200
    assert ahead("DE-BY", "2026-05-24T22:00", "2026-05-25T06:30") < 100
    assert ahead("DE-BY", "2026-05-25T22:00", "2026-05-26T06:30") > 250
    # Ascension, a fortnight before, makes no later Thursday quiet
    assert ahead("DE-BY", "2026-05-20T22:00", "2026-05-21T06:30") > 250
    assert (
        ahead("", "2026-05-20T22:00", "2026-05-21T06:30") < ahead("DE-BY", "2026-05-20T22:00", "2026-05-21T06:30") - 20
    )
