"""SIGKILL at a hundred random moments of writing: no committed sample is lost, and the store opens without a hand."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.killed_writer import check_store, killed_within

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20261122
KILLS = 100


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_hundred_sigkills_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(SEED)  # noqa: S311  # chooses when to kill, no secret
    path = tmp_path / "foresail.db"
    done = ahead = 0
    for _ in range(KILLS):
        told = killed_within(path, done=done, seconds=rng.uniform(0.0, 0.25))
        done = check_store(path, told)
        ahead += done > told
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert done > KILLS
    with capsys.disabled():
        print(  # noqa: T201  # the count that docs/benchmarks.md asks for
            f"\nSIGKILL: seed {SEED}, {KILLS} kills, {done} batches of 120 samples written, {ahead} kills between a "
            f"commit and its telling; lost 0, stores set aside 0"
        )
