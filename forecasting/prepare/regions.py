"""Countries and their parts whose public holidays are known. Needs no numerics: the edge checks names."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from forecasting.errors import InvalidParameter

__all__ = ["checked_region", "public_holidays"]

_EPOCH = date(1970, 1, 1)


def checked_region(name: str) -> str:
    """The name of a region whose public holidays are known; empty for none.

    Raises:
        InvalidParameter: The `holidays` library has no calendar of that name.
    """
    if name:
        _calendar(name, ())
    return name


def public_holidays(region: str, *, first: int, last: int) -> tuple[tuple[int, ...], int]:
    """The holidays of a region within a span.

    Args:
        region: A country by ISO 3166-1, e.g. DE, or a part of it by ISO 3166-2, e.g. DE-BY.
        first: The first day that counts, from 1970-01-01.
        last: The last.

    Returns:
        Days from 1970-01-01, increasing; and the weekday that ends the weekend there, 0 for Monday to 6.

    Raises:
        InvalidParameter: The `holidays` library has no calendar of that name.
    """
    years = range((_EPOCH + timedelta(days=first)).year, (_EPOCH + timedelta(days=last)).year + 1)
    days, weekday = _calendar(region, tuple(years))
    return tuple(day for day in days if first <= day <= last), weekday


@lru_cache(maxsize=64)
def _calendar(region: str, years: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    import holidays  # noqa: PLC0415  # a hundred calendars: only where they are asked for

    country, _, part = region.partition("-")
    try:
        known = holidays.country_holidays(country, subdiv=part or None, years=years)
    except NotImplementedError as error:
        raise InvalidParameter(
            f"no calendar of holidays is known for {region!r}; a country is given like 'DE', a part of it like 'DE-BY'"
        ) from error
    return tuple(sorted((day - _EPOCH).days for day in known)), max(known.weekend, default=6)
