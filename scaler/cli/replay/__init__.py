"""`foresail replay`: what a policy would have done on the past, and what that would have cost."""

from scaler.cli.replay.arguments import configure
from scaler.cli.replay.command import run

__all__ = ["configure", "run"]
