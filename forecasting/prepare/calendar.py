"""Clocks and calendars: people's rhythms follow local time, and holidays are known in advance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from forecasting.errors import InvalidParameter
from forecasting.prepare.regions import public_holidays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = [
    "Holidays",
    "calendar_features",
    "checked_zone",
    "local_steps",
    "local_times",
    "utc_offsets",
]

# Clocks are put forward and back at full quarters of an hour UTC.
_QUARTER = 900
_DAY = 86400
_AHEAD = 60 * _DAY
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Holidays:
    """Public holidays of some years, known in advance: work rests as on the last day of the weekend.

    Attributes:
        days: Which days, counted from 1970-01-01, on local clocks; increasing.
        weekday: The day of rest, 0 for Monday to 6: Sunday, in most countries.
    """

    days: tuple[int, ...] = ()
    weekday: int = 6

    @classmethod
    def around(cls, region: str, series: TimeSeries, *, zone: str) -> Holidays:
        """Those of a region, from a series' beginning to two months after its end.

        Args:
            region: A country by ISO 3166-1, e.g. DE, or a part of it by ISO 3166-2, e.g. DE-BY; empty: none.
            series: The past that is learned from; what is learned serves for days, not for months.
            zone: Whose midnight begins a day.

        Raises:
            InvalidParameter: The `holidays` library has no calendar of that region.
        """
        if not region:
            return cls()
        first, last = (local_times(np.array([series.start, series.end + _AHEAD]), zone) // _DAY).tolist()
        days, weekday = public_holidays(region, first=first, last=last)
        return cls(days=days, weekday=weekday)

    def among(self, local: IntArray) -> NDArray[np.bool_]:
        """Which of these local times, in seconds, lie on a holiday; of their shape."""
        return np.isin(local // _DAY, np.array(self.days, dtype=np.int64))

    def moved(self, local: IntArray) -> IntArray:
        """Local times with those on holidays moved, by whole days, to the same week's day of rest."""
        if not self.days:
            return local
        ahead = self.weekday - (local // _DAY + _EPOCH_WEEKDAY) % 7
        return np.asarray(local + np.where(self.among(local), ahead * _DAY, 0))


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
