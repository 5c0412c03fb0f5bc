"""`foresail backtest`: what a forecaster would have said on the past, and how good that was."""

from scaler.cli.backtest.arguments import configure
from scaler.cli.backtest.command import run

__all__ = ["configure", "run"]
