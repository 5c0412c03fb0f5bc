"""Where a history is split: what is before is for learning only, what is after is for trying things on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scaler.cli.arguments import moment, typed
from scaler.errors import InvalidSettings
from scaler.kinds import number
from scaler.times import iso

if TYPE_CHECKING:
    import argparse

    from forecasting.series import TimeSeries

__all__ = ["add_split_arguments", "train_end_of"]


def add_split_arguments(parser: argparse.ArgumentParser, *, title: str) -> None:
    """The part, or the moment."""
    add = parser.add_argument_group(title).add_mutually_exclusive_group().add_argument
    add(
        "--train-fraction",
        type=typed(number(minimum=0.01, maximum=0.99)),
        default=0.6,
        metavar="PART",
        help="the first part of the samples is for learning only (default: 0.6)",
    )
    add("--train-end", type=moment, metavar="TIME", help="the last moment that is for learning only")


def train_end_of(arguments: argparse.Namespace, series: TimeSeries) -> int:
    """Time of the last sample that is for learning only.

    Raises:
        InvalidSettings: There would be nothing to learn from, or nothing to try things on.
    """
    if arguments.train_end is None:
        end = series.start + (int(len(series) * arguments.train_fraction) - 1) * series.step
        said = f"--train-fraction {arguments.train_fraction:g}"
    else:
        end = series.start + math.floor((arguments.train_end - series.start) / series.step) * series.step
        said = f"--train-end {iso(arguments.train_end)}"
    if not series.start <= end < series.end:
        raise InvalidSettings(
            [f"{said} must leave samples on both sides; the series goes from {iso(series.start)} to {iso(series.end)}"]
        )
    return end
