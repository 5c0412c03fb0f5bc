from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from forecasting.errors import InvalidParameter
from forecasting.models.seasonal_profile import SeasonalProfile
from forecasting.prepare.calendar import (
    calendar_features,
    checked_zone,
    holiday_flags,
    local_steps,
    local_times,
    utc_offsets,
)
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


def test_holidays_begin_at_local_midnight() -> None:
    times = _at("2026-10-02T21:59", "2026-10-02T22:00", "2026-10-03T21:59", "2026-10-03T22:00")
    assert holiday_flags(times, "DE", zone="Europe/Berlin").tolist() == [False, True, True, False]
    # Corpus Christi is a holiday in Bavaria, not in Berlin
    corpus = _at("2026-06-04T12:00")
    assert holiday_flags(corpus, "DE", subdivision="BY").tolist() == [True]
    assert holiday_flags(corpus, "DE", subdivision="BE").tolist() == [False]


@pytest.mark.parametrize(("country", "part", "where"), [("XX", None, "XX"), ("DE", "QQ", "DE-QQ")])
def test_an_unknown_country_is_refused(country: str, part: str | None, where: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        holiday_flags(_at("2026-01-01T00:00"), country, subdivision=part)
    assert str(caught.value) == (
        f"no calendar of holidays is known for '{where}'; a country is given like 'DE', a part of it like 'BY'"
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
