"""`foresail demo` as a user runs it: to its end, to Ctrl-C, with and without a terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import PATIENCE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = (sys.executable, "-m", "scaler", "demo")
LINE = re.compile(r"^ +\d:\d\d +\d+ +\d+ +\d+ +\d+ (ready|of \d+)( +\d+)? +\d+ (ready|of \d+)( +\d+)? +[a-z].+$")
"""Time, observed, forecast, served, pods and shortfall twice, and why: a forecast takes part from the first line on."""


def demo(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "120"}
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    )


def test_it_runs_to_its_end_in_plain_lines(tmp_path: Path) -> None:
    with demo(tmp_path, "--for", "3s") as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    lines = [line for line in output.splitlines() if LINE.match(line)]
    assert len(lines) == 4, output
    assert "What it came to" in output
    assert "\x1b" not in output
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_it_with_the_account(tmp_path: Path) -> None:
    with demo(tmp_path, "--for", "0s") as process:
        assert process.stdout is not None
        seen = ""
        while not LINE.match(line := process.stdout.readline()):
            assert line, f"it ended before its first line: {seen}"
            seen += line
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert "What it came to" in output
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_before_anything_is_learned_ends_it_too(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        # its directory is there as soon as it may be interrupted
        wait_until(lambda: any(tmp_path.glob("foresail-demo-*/foresail.db")), "it does not start")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert "What it came to" in output


@pytest.mark.parametrize("size", [(24, 80)])
def test_a_terminal_gets_a_live_table(tmp_path: Path, size: tuple[int, int]) -> None:
    ours, theirs = pty.openpty()
    rows, columns = size
    environ = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "TERM": "xterm",
        "LINES": str(rows),
        "COLUMNS": str(columns),
    }
    with subprocess.Popen([*COMMAND, "--for", "1s"], stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        output = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side is closed: how a terminal ends on Linux
                break
            output += part
        process.wait(PATIENCE)
    os.close(ours)
    assert process.returncode == 0
    text = output.decode()
    assert "\x1b[" in text
    assert "plain KEDA" in text
    assert "What it came to" in text
