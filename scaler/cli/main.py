"""`foresail`: finds the subcommand, runs it, turns its errors into texts and exit codes."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Protocol, cast

from scaler import __version__
from scaler.cli.parser import CommandParser
from scaler.errors import ForesailError
from scaler.parameters import nearest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["COMMANDS", "command_parser", "main", "main_parser"]

COMMANDS = {
    "serve": "run the scaler: gRPC for KEDA, HTTP for people and Prometheus",
    "demo": "see all of it work on this machine, with nothing installed",
    "backtest": "see on your own history how good a forecaster is: how near, how honest, how fast",
    "replay": "see on your own history what a policy would have done and cost, against plain KEDA",
    "train": "train on your own histories what forecasts across series; publish it only if it is better",
    "explain": "say why the last answer was what it was (asks a running server)",
    "doctor": "check addresses, credentials, queries and clocks; say how to mend them",
}
"""Subcommand -> what `foresail --help` says of it. Each is a module of its own, imported only when it is used."""

EXIT_FAILED = 1
EXIT_USAGE = 2  # as argparse does
EXIT_INTERRUPTED = 130  # what a shell expects of a program ended by Ctrl-C


class Command(Protocol):
    """What a subcommand's module holds."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declares its arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Does it; returns the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    at = next((n for n, word in enumerate(argv) if not word.startswith("-")), len(argv))
    parser = main_parser()
    parser.read(argv[:at])  # --help, --version, or a text that says what is wrong
    if at == len(argv):
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    name = argv[at]
    if name not in COMMANDS:
        near = nearest(name, COMMANDS)
        known = f"the commands are {', '.join(COMMANDS)}"
        parser.error(f"there is no command {name!r}; {f'did you mean {near}?' if near else known}")
    command, parser = _configured(name)
    arguments = parser.read(argv[at + 1 :])
    try:
        code = command.run(arguments)
        sys.stdout.flush()
    except ForesailError as error:
        print(f"foresail {name}: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:  # of standard output, as a rule: files, sources and sockets have texts of their own
        _let_go_of_output()
        if not isinstance(error, BrokenPipeError):  # who reads no further, as `head` does, needs no text
            print(f"foresail {name}: {_said(error)}", file=sys.stderr)
        return EXIT_FAILED
    return code


def _said(error: OSError) -> str:
    """What the system says, with the file if there is one."""
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


def _let_go_of_output() -> None:
    """Lets the interpreter end without another try to write what cannot be written."""
    with contextlib.suppress(OSError, ValueError):
        output = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)


def main_parser() -> CommandParser:
    """The parser of what stands before the command."""
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:{width}}  {what}" for name, what in COMMANDS.items())
    parser = CommandParser(
        prog="foresail",
        description=f"A KEDA external scaler that answers with the load of the near future.\n\ncommands:\n{listed}",
        epilog="'foresail COMMAND --help' tells more about one.",
        places="COMMAND",
    )
    parser.add_argument(
        "--version", action="version", version=f"foresail {__version__}", help="show the version and exit"
    )
    return parser


def command_parser(name: str) -> CommandParser:
    """The parser of a command, with its arguments declared."""
    return _configured(name)[1]


def _configured(name: str) -> tuple[Command, CommandParser]:
    command = cast("Command", importlib.import_module(f"scaler.cli.{name}"))
    said = COMMANDS[name]
    parser = CommandParser(prog=f"foresail {name}", description=f"{said[0].upper()}{said[1:]}.")
    command.configure(parser)
    return command, parser
