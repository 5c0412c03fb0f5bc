"""A backtest straight from a Prometheus server, and what a terminal sees of one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import MakePrometheus

MINUTES = 600
ARGUMENTS = ("--forecaster", "naive", "--horizon", "5m", "--levels", "0.9", "--refit-every", "1h", "--json")


@pytest.fixture
def samples() -> list[tuple[float, float]]:
    rng = np.random.default_rng(5)
    end = int(time.time()) // 60 * 60
    load = 60 + 40 * np.sin(2 * np.pi * np.arange(MINUTES) / 60) + rng.gamma(2.0, 4.0, MINUTES)
    return [(end - 60.0 * (MINUTES - 1 - n), round(float(value), 3)) for n, value in enumerate(load)]


@pytest.fixture
def trace(samples: list[tuple[float, float]], tmp_path: Path) -> Path:
    path = tmp_path / "shop.csv"
    path.write_text("".join(f"{moment:.0f},{value}\n" for moment, value in samples))
    return path


def test_the_same_samples_give_the_same_forecasts(
    samples: list[tuple[float, float]],
    trace: Path,
    prometheus_server: MakePrometheus,
    tmp_path: Path,
) -> None:
    server = prometheus_server([("load", {"app": "shop"}, samples)])
    from_file, from_source = tmp_path / "file.csv", tmp_path / "source.csv"
    common = [*ARGUMENTS, "--train-end", f"{samples[360][0]:.0f}", "--jobs", "1", "--forecasts"]
    assert main(["backtest", str(trace), *common, str(from_file)]) == 0
    asked = ["--source", server.url, "--query", "sum(load)", "--since", "20h"]
    assert main(["backtest", *asked, *common, str(from_source)]) == 0
    ours, theirs = from_file.read_text().splitlines(), from_source.read_text().splitlines()
    assert len(ours) == 1 + 240
    # where minutes have passed meanwhile, the server's newest sample goes on for some more rows
    assert theirs[: len(ours)] == ours
    assert len(theirs) <= len(ours) + 5


def test_a_terminal_sees_the_progress_and_the_figures_stay_apart(trace: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "scaler", "backtest", str(trace), *ARGUMENTS, "--jobs", "1"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
            check=True,
            timeout=100,
        )
        seen = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "forecasting with naive" in seen
    assert ended.stdout.startswith(b'{"series": "shop"')
    assert ended.stdout.count(b"\n") == 1
