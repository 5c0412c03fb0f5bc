"""Kinds of values that only triggers have."""

from __future__ import annotations

import functools
import re
import zoneinfo

from scaler.kinds import DAY, HOUR, Kind, Unreadable, duration, matching
from scaler.parameters import nearest

__all__ = ["FORECASTER", "LEAD_TIME", "STEP", "TIME_ZONE"]


def _parse_step(value: str) -> int:
    seconds = _STEP_RANGE.parse(value)
    if seconds % 1 or DAY % seconds:
        raise Unreadable("it must be whole seconds that divide a day, such as 15s, 30s, 1m, 5m, 15m or 1h")
    return int(seconds)


_STEP_RANGE = duration(minimum=1.0, maximum=HOUR)
STEP: Kind[int] = Kind(says=_STEP_RANGE.says + " that divides a day", parse=_parse_step, show=_STEP_RANGE.show)
_LEAD_RANGE = duration(minimum=1.0, maximum=6 * HOUR)


def _parse_lead_time(value: str) -> float:
    if value == "auto":
        raise Unreadable("a measured lead time is not available in this version; give a duration such as 3m")
    return _LEAD_RANGE.parse(value)


LEAD_TIME: Kind[float] = Kind(says=_LEAD_RANGE.says, parse=_parse_lead_time, show=_LEAD_RANGE.show)


@functools.cache
def _zones() -> frozenset[str]:
    """All time zones; read from the disk once, and only to help someone who mistyped one."""
    return frozenset(zoneinfo.available_timezones())


_ZONE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,3}")


def _parse_time_zone(value: str) -> str:
    if len(value) <= 64 and _ZONE_NAME.fullmatch(value):
        try:
            return zoneinfo.ZoneInfo(value).key
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            pass  # unknown, or a directory of the database such as "America"
    near = nearest(value, _zones())
    hint = "" if near is None else f"; did you mean {near}?"
    raise Unreadable(f"it must be a time zone such as UTC or Europe/Berlin{hint}", echoes=True)


TIME_ZONE: Kind[str] = Kind(says="a time zone such as UTC or Europe/Berlin", parse=_parse_time_zone)
FORECASTER = matching(r"[a-z0-9][a-z0-9-]{0,63}", "the name of a forecaster, such as auto or seasonal-naive")
