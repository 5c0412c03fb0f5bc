"""Kinds of arguments that several subcommands take."""

from __future__ import annotations

import argparse

from scaler.kinds import Unreadable
from scaler.kinds import duration as duration_kind

__all__ = ["duration_argument"]

_DURATION = duration_kind()


def duration_argument(text: str) -> float:
    """A duration such as 90s or 5m, in seconds."""
    try:
        return _DURATION.parse(text)
    except Unreadable as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
