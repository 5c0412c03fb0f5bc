"""A training that is killed with SIGKILL goes on from its checkpoint and ends in the very same weights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.networks import daily_load, random_network

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 100.0
pytestmark = pytest.mark.timeout(300)  # three trainings, each of which imports torch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    series = daily_load(30.0, 1, days=1.5, step=60)
    rows = zip(series.times().tolist(), series.values.tolist(), strict=True)
    (tmp_path / "load.csv").write_text("".join(f"{time},{value}\n" for time, value in rows))
    return tmp_path


def command(folder: Path, name: str) -> list[str]:
    return [
        *(sys.executable, "-m", "scaler", "train", str(folder), "--output", str(folder / name), "--force"),
        *("--generated", "0", "--origins", "1000", "--epochs", "40", "--checkpoint-every", "100ms"),
    ]  # fmt: skip


def environment(folder: Path) -> dict[str, str]:
    # begins with a small network, so that a training is short
    in_use = folder / "in-use.bin"
    in_use.write_bytes(random_network(units=4, dense=4).to_bytes())
    return {**os.environ, "FORESAIL_LSTM_MODEL": str(in_use)}


def finished(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, name),
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )


def test_killed_and_resumed_it_ends_in_the_same_weights(folder: Path) -> None:
    checkpoint = folder / "killed.bin.checkpoint"
    killed = subprocess.Popen(command(folder, "killed.bin"), env=environment(folder), stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + DEADLINE
        while not checkpoint.exists():
            assert time.monotonic() < until
            assert killed.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
    finally:
        killed.kill()
        killed.wait()
    assert not (folder / "killed.bin").exists()
    resumed = finished(folder, "killed.bin")
    found = re.search(r"going on from .*: (\d+) of (\d+) batches are done", resumed.stderr)
    assert found is not None
    assert 0 < int(found[1]) < int(found[2])
    unbroken = finished(folder, "unbroken.bin")
    assert (folder / "killed.bin").read_bytes() == (folder / "unbroken.bin").read_bytes()
    last_losses = [re.findall(r"loss (\S+) on", text.stderr)[-1] for text in (resumed, unbroken)]
    assert last_losses[0] == last_losses[1]
