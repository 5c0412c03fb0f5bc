"""Clocks and calendars: people's rhythms follow local time, and holidays are known in advance."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from forecasting.errors import InvalidParameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecasting.series import FloatArray
    from forecasting.windows import IntArray

__all__ = ["calendar_features", "checked_zone", "holiday_flags", "local_steps", "local_times", "utc_offsets"]

# Clocks are put forward and back at full quarters of an hour UTC.
_QUARTER = 900
_DAY = 86400
# 1 January 1970 was a Thursday: 3 with Monday as 0.
_EPOCH_WEEKDAY = 3


def checked_zone(name: str) -> str:
    """The name of a time zone.

    Raises:
        InvalidParameter: There is none of that name in the IANA database.
    """
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not found; a directory's name; a path out of the database
        raise InvalidParameter(f"there is no time zone {name!r}; one is named like 'Europe/Berlin'") from error
    return name


def utc_offsets(times: IntArray, zone: str) -> IntArray:
    """How far the zone's clocks are ahead of UTC, in seconds; across changes to and from summer time.

    Args:
        times: Epoch seconds, any shape.
        zone: IANA name, e.g. Europe/Berlin.
    """
    if zone == "UTC":
        return np.zeros(times.shape, dtype=np.int64)
    clock = ZoneInfo(zone)
    quarters, index = np.unique(times // _QUARTER, return_inverse=True)
    offsets = [
        int((datetime.fromtimestamp(int(quarter) * _QUARTER, clock).utcoffset() or timedelta(0)).total_seconds())
        for quarter in quarters
    ]
    return np.asarray(np.array(offsets, dtype=np.int64)[index].reshape(times.shape))


def local_times(times: IntArray, zone: str) -> IntArray:
    """What the zone's clocks show, as seconds since 1970-01-01 00:00 on these clocks."""
    return times + utc_offsets(times, zone)


def local_steps(times: IntArray, step: int, zone: str) -> IntArray:
    """What the zone's clocks show, in steps: phases of daily and weekly profiles stay put across clock changes."""
    return local_times(times, zone) // step


def holiday_flags(
    times: IntArray, country: str, *, subdivision: str | None = None, zone: str = "UTC"
) -> NDArray[np.bool_]:
    """Which of these times lie on a public holiday, by the `holidays` library's calendars.

    Args:
        times: Epoch seconds, any shape.
        country: ISO 3166-1 alpha-2 code, e.g. DE.
        subdivision: ISO 3166-2 code of a part of it, e.g. BY.
        zone: Whose midnight begins the day.

    Raises:
        InvalidParameter: No calendar is known for that country or part.
    """
    import holidays  # noqa: PLC0415  # a hundred calendars: only where they are asked for

    days, index = np.unique(local_times(times, zone) // _DAY, return_inverse=True)
    dates = [date(1970, 1, 1) + timedelta(days=int(day)) for day in days]
    years = sorted({day.year for day in dates})
    try:
        known = holidays.country_holidays(country, subdiv=subdivision, years=years)
    except NotImplementedError as error:
        where = country if subdivision is None else f"{country}-{subdivision}"
        raise InvalidParameter(
            f"no calendar of holidays is known for {where!r}; a country is given like 'DE', a part of it like 'BY'"
        ) from error
    flags = np.array([day in known for day in dates], dtype=bool)
    return np.asarray(flags[index].reshape(times.shape))


def calendar_features(times: IntArray, zone: str = "UTC") -> dict[str, FloatArray]:
    """Covariates known in advance, each of the shape of `times`.

    Returns:
        `day_sine`, `day_cosine`: the local time of day on the circle; `week_sine`, `week_cosine`: likewise of the
        week; `weekday`: 0 for Monday to 6; `hour`: 0 to below 24.
    """
    local = local_times(times, zone)
    day = (local % _DAY) / _DAY
    weekday = (local // _DAY + _EPOCH_WEEKDAY) % 7
    week = (weekday + day) / 7
    return {
        "day_sine": np.sin(2 * np.pi * day),
        "day_cosine": np.cos(2 * np.pi * day),
        "week_sine": np.sin(2 * np.pi * week),
        "week_cosine": np.cos(2 * np.pi * week),
        "weekday": weekday.astype(np.float64),
        "hour": day * 24,
    }
