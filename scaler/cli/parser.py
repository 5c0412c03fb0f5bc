"""The parser of a command: short usage, help on one screen, and the nearest name where one is not known."""

from __future__ import annotations

import argparse
import shutil
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from scaler.parameters import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PAGE_WIDTH", "CommandParser"]

PAGE_WIDTH = 100
"""Columns of the reference page, and the most that help takes of a terminal: longer lines are hard to read."""

_OPTIONS_WIDTH = 32  # columns: a longer option gets a line of its own


class CommandParser(argparse.ArgumentParser):
    """argparse's parser with one look for all commands.

    Args:
        prog: How the command is called.
        description: What it does, without a full stop.
        epilog: What stands below the options.
        places: What the usage says must be given, where it is not declared as an argument.
    """

    def __init__(self, *, prog: str, description: str, epilog: str = "", places: str = "") -> None:
        self._places = places
        super().__init__(prog=prog, description=description, epilog=epilog, allow_abbrev=False)
        self._positionals.title = "arguments"
        self.color = False  # newer Pythons colour help; the same text everywhere is worth more
        self.set_width(min(PAGE_WIDTH, shutil.get_terminal_size().columns))

    def set_width(self, columns: int) -> None:
        """Lets the help text take that many columns."""
        self.formatter_class = partial(  # called with prog alone
            argparse.RawDescriptionHelpFormatter, width=columns - 2, max_help_position=_OPTIONS_WIDTH
        )

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Reads the arguments; ends the process with a text and exit code 2 where they are not right."""
        self._refuse_unknown(words)
        arguments, extra = self.parse_known_args(list(words))
        if extra:
            self.error(f"{extra[0]!r} is not expected here")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Ends the process: what is wrong, and where to read what would be right."""
        if message.endswith("expected one argument"):
            message += " (one that begins with - is written as --option=VALUE)"
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help tells what there is\n")

    def format_usage(self) -> str:
        """What must be given, in one line; the options have the rest of the help text."""
        self._settle_usage()
        return super().format_usage()

    def format_help(self) -> str:
        """The help text."""
        self._settle_usage()
        return super().format_help()

    def _settle_usage(self) -> None:
        needed = [f"{action.option_strings[0]} {action.metavar}" for action in self._actions if _needed(action)]
        places = [_place(action) for action in self._actions if not action.option_strings]
        self.usage = " ".join(["%(prog)s", *filter(None, (self._places, *places)), *needed, "[options]"])

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        """First of all: argparse would complain of what the mistyped option left out."""
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                near = nearest(name, self._option_string_actions)
                self.error(f"there is no option {name}" + (f"; did you mean {near}?" if near else ""))


def _needed(action: argparse.Action) -> bool:
    return bool(action.option_strings) and action.required


def _place(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    return f"[{name}]" if action.nargs == argparse.OPTIONAL else name
