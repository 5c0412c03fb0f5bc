"""Time zones as people name them."""

from __future__ import annotations

import functools
import re
import zoneinfo

from scaler.kinds import Kind, Unreadable
from scaler.parameters import nearest

__all__ = ["TIME_ZONE"]


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
