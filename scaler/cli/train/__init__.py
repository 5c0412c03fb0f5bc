"""`foresail train`: trains what is learned across series, and publishes it only if it beats the one in use."""

from scaler.cli.train.arguments import configure
from scaler.cli.train.command import run

__all__ = ["configure", "run"]
