"""`foresail backtest`: what a forecaster would have said on the past, and how good that was."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["configure", "run"]

# imported inside: processes that only compute import this package for its jobs, and what reads arguments, asks sources
# and writes pages is half of what they would import


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from scaler.cli.backtest import arguments  # noqa: PLC0415  # see above

    arguments.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Does what they ask for; returns the exit code."""
    from scaler.cli.backtest import command  # noqa: PLC0415  # see above

    return command.run(arguments)
