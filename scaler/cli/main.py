"""`foresail`: finds the subcommand, runs it, turns its errors into texts and exit codes."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Protocol, cast

from scaler import __version__
from scaler.errors import ForesailError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

COMMANDS = {
    "serve": "run the scaler: gRPC for KEDA, HTTP for people and Prometheus",
    "demo": "see all of it work on this machine, with nothing installed",
    "replay": "see on your own history what a policy would have done and cost, against plain KEDA",
    "explain": "why the last answer was what it was (asks a running server)",
    "doctor": "check addresses, credentials, queries and clocks; say how to mend them",
}
"""Subcommand -> what `foresail --help` says of it. Each is a module of its own, imported only when it is used."""

EXIT_FAILED = 1
EXIT_USAGE = 2  # as argparse does


class Command(Protocol):
    """What a subcommand's module holds."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declares its arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Does it; returns the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser, commands = _parser()
    name = next((word for word in argv if not word.startswith("-")), "")
    if name not in COMMANDS:
        parser.parse_args(argv)  # --help, --version, or a text that says what is wrong
        parser.print_help()
        return EXIT_USAGE
    command = cast("Command", importlib.import_module(f"scaler.cli.{name}"))
    command.configure(commands[name])
    try:
        return command.run(parser.parse_args(argv))
    except ForesailError as error:
        print(f"foresail {name}: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130  # what a shell expects of a program ended by Ctrl-C


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="foresail",
        description="A KEDA external scaler that answers with the load of the near future.",
        epilog="'foresail COMMAND --help' tells more about one.",
    )
    parser.add_argument("--version", action="version", version=f"foresail {__version__}")
    sub = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    return parser, {name: sub.add_parser(name, help=text, description=text) for name, text in COMMANDS.items()}
