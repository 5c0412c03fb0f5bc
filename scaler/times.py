"""Moments as people and files write them: epoch seconds or ISO 8601, UTC where no zone is given."""

from __future__ import annotations

import math
from datetime import UTC, datetime

__all__ = ["TIME_FORMS", "iso", "parse_time"]

TIME_FORMS = "epoch seconds or ISO 8601, such as 1767225600 or 2026-01-01T00:00:00Z"


def parse_time(text: str) -> float:
    """Epoch seconds of a moment.

    Raises:
        ValueError: The text is no moment.
    """
    try:
        if text[4:5] == "-":  # a year: files have ten thousands of these, so nothing else is tried first
            return _moment(text)
        seconds = float(text)
    except ValueError:
        return _moment(text)
    if not math.isfinite(seconds):
        raise ValueError(f"{text} is no moment")
    return seconds


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def iso(seconds: float) -> str:
    """The moment in ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
