"""Numbers and durations as people read them, in every text of the program."""

from __future__ import annotations

__all__ = ["duration", "number", "plural"]

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def duration(seconds: float) -> str:
    """At most two units, the coarser first: `0.5s`, `45s`, `3m30s`, `2d4h`; a minus sign where it is negative."""
    if seconds < 0:
        return "-" + duration(-seconds)
    tenths = round(seconds, 1)
    if 0 < seconds < 10 and (tenths != int(tenths) or not tenths):
        return f"{tenths:.1f}s"
    rest = round(seconds)
    parts: list[str] = []
    for size, name in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{name}")
        elif parts:
            break
    return "".join(parts[:2]) or "0s"


def number(value: float) -> str:
    """Four significant digits, no trailing zeros, plain up to millions: `0.25`, `132.4`, `1.235e+07`."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if 1e3 <= abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.4g}"


def plural(count: int, noun: str) -> str:
    """`1 series`-safe counting: `1 trigger`, `2 triggers`."""
    return f"{count} {noun}" if count == 1 or noun.endswith("s") else f"{count} {noun}s"
