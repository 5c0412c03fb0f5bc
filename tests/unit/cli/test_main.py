"""The command line before any command runs: help, versions, mistyped names, exit codes."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from scaler import __version__
from scaler.cli.main import COMMANDS, command_parser, main
from scaler.errors import StoreError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

LINES_OF_A_SCREEN = 60


def exit_code(*argv: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    return ended.value.code


def command(monkeypatch: pytest.MonkeyPatch, run: Callable[[argparse.Namespace], int]) -> None:
    """Puts a command of our own in the place of `serve`."""

    def configure(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--config")
        parser.add_argument("--step", required=False)

    monkeypatch.setattr(
        "scaler.cli.main.importlib.import_module", lambda _: SimpleNamespace(configure=configure, run=run)
    )


def test_alone_it_prints_its_help_where_mistakes_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: foresail COMMAND [options]\n")
    width = max(map(len, COMMANDS))
    assert all(f"  {name:{width}}  {what}\n" in said.err for name, what in COMMANDS.items())


def test_help_and_version_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    assert capsys.readouterr().out.startswith("usage: foresail COMMAND [options]\n")
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"foresail {__version__}\n"
    assert exit_code("--help", "serve") == 0
    assert capsys.readouterr().out.startswith("usage: foresail COMMAND [options]\n")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["sevre"], "foresail: there is no command 'sevre'; did you mean serve?"),
        (["explian", "shop/web"], "foresail: there is no command 'explian'; did you mean explain?"),
        (["--verion"], "foresail: there is no option --verion; did you mean --version?"),
        (["-x"], "foresail: '-x' is not expected here"),
        (["serve", "--confg", "x"], "foresail serve: there is no option --confg; did you mean --config?"),
        (["serve", "--confg=x"], "foresail serve: there is no option --confg; did you mean --config?"),
        (["serve", "--conf", "x"], "foresail serve: there is no option --conf; did you mean --config?"),
        (["serve", "--zzz"], "foresail serve: there is no option --zzz"),
        (["serve", "now"], "foresail serve: 'now' is not expected here"),
        (
            ["serve", "--config"],
            "foresail serve: argument --config: expected one argument",
        ),
        # what is mistyped is told rather than what is missing without it
        (["replay", "--tagret", "5"], "foresail replay: there is no option --tagret; did you mean --target?"),
        (["replay", "x.csv"], "foresail replay: the following arguments are required: --target"),
        (["demo", "--for", "soon"], 'foresail demo: argument --for: "soon": it must be a duration, such as 90s, 5m'),
    ],
)
def test_mistakes_are_told_in_a_line_with_the_nearest_name(
    argv: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(text)
    prog = text.partition(":")[0]
    assert said.err.endswith(f"; {prog} --help tells what there is\n")


def test_how_to_give_a_value_that_begins_with_a_hyphen(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("doctor", "--query", "-avg(load)") == 2
    assert capsys.readouterr().err == (
        "foresail doctor: argument --query: expected one argument (one that begins with - is written as "
        "--option=VALUE); foresail doctor --help tells what there is\n"
    )


def test_a_command_that_is_near_to_none_gets_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("xyzzy") == 2
    assert capsys.readouterr().err == (
        f"foresail: there is no command 'xyzzy'; the commands are {', '.join(COMMANDS)}; "
        "foresail --help tells what there is\n"
    )


def test_words_after_two_hyphens_are_no_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("explain", "--", "--sever") == 2
    assert capsys.readouterr().err.startswith('foresail explain: argument NAMESPACE/NAME: "--sever" is not NAMESPACE/')


def test_the_commands_arguments_and_exit_code_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(arguments: argparse.Namespace) -> int:
        seen.append(arguments.config)
        return 7

    command(monkeypatch, run)
    assert main(["serve", "--config", "a.toml"]) == 7
    assert seen == ["a.toml"]


def test_errors_of_this_program_are_texts_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        raise StoreError("the store /x cannot be written")

    command(monkeypatch, run)
    assert main(["serve"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "foresail serve: the store /x cannot be written\n")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "foresail serve: No space left on device\n"),
        (OSError(errno.EACCES, "Permission denied", "/x/y"), "foresail serve: /x/y: Permission denied\n"),
        (OSError("of the library's own"), "foresail serve: of the library's own\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), ""),
    ],
)
def test_what_the_system_refuses_is_a_text_but_where_nobody_reads_on(
    error: OSError, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        raise error

    command(monkeypatch, run)
    assert main(["serve"]) == 1
    assert capsys.readouterr().err == says


def test_output_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    series = tmp_path / "load.csv"
    series.write_text("".join(f"{60 * n},{n % 7}\n" for n in range(1, 200)))
    command = [sys.executable, "-m", "scaler", "backtest", str(series), "--forecaster", "naive", "--horizon", "5m"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, "--jobs", "1", "--json"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (1, "foresail backtest: No space left on device\n")


def test_bugs_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: argparse.Namespace) -> int:
        raise KeyError("x")

    command(monkeypatch, run)
    with pytest.raises(KeyError):
        main(["serve"])


def test_ctrl_c_ends_as_shells_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    command(monkeypatch, run)
    assert main(["serve"]) == 130


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_is_complete_and_fits_a_screen(name: str) -> None:
    parser = command_parser(name)
    parser.set_width(100)
    text = parser.format_help()
    assert text.startswith(f"usage: foresail {name} ")
    assert f"\n\n{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.\n\n" in text
    assert len(text.splitlines()) <= LINES_OF_A_SCREEN
    assert max(map(len, text.splitlines())) <= 100
    unexplained = [action.dest for action in parser._actions if not action.help]
    assert unexplained == []
