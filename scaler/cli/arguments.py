"""Kinds of values as argparse types: one wording for metadata, settings and the command line."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scaler.errors import InvalidSettings
from scaler.kinds import Kind, Unreadable, duration, quoted
from scaler.times import TIME_FORMS, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

__all__ = ["add_config_argument", "duration_argument", "listed", "moment", "output_file", "typed", "writing"]

T = TypeVar("T")


def typed(kind: Kind[T]) -> Callable[[str], T]:
    """Reads an argument of that kind."""

    def read(value: str) -> T:
        try:
            return kind.parse(value.strip())
        except Unreadable as error:
            raise argparse.ArgumentTypeError(f"{quoted(value)}: {error.reason}") from error

    return read


duration_argument = typed(duration())
"""Reads a duration such as 90s or 5m: seconds."""


def listed(kind: Kind[T]) -> Callable[[str], tuple[T, ...]]:
    """Reads one or several values with commas between them."""
    read = typed(kind)
    return lambda value: tuple(read(part) for part in value.split(","))


def moment(value: str) -> float:
    """Reads a moment: epoch seconds."""
    try:
        return parse_time(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{quoted(value)}: it must be {TIME_FORMS}") from error


def output_file(value: str) -> Path:
    """Reads the name of a file to write: that it cannot be is told before minutes of work, not after."""
    path = Path(value)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{quoted(value)}: it is a folder; it must be a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{quoted(value)}: there is no folder {quoted(str(path.parent))}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{quoted(value)}: it may not be written by this user")
    return path


@contextlib.contextmanager
def writing(option: str, path: Path) -> Iterator[TextIO]:
    """Opens the file that an option names, to write it anew.

    Raises:
        InvalidSettings: It cannot be written, or not to its end.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise InvalidSettings([f"{option} {path} cannot be written: {error.strerror or error}"]) from error


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """The option of every command that reads the settings."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=os.environ.get("FORESAIL_CONFIG"),
        help="the settings, a TOML file (default: $FORESAIL_CONFIG, or none); the environment (FORESAIL_...) overrides "
        "it, the command line overrides both",
    )
