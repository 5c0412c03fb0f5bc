"""What was committed survives SIGKILL, whenever it comes; what was not is either wholly there or not at all.

`make chaos` does this a hundred times: tests/chaos/test_kills.py.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.support.killed_writer import Kept, check_store, killed_after_lines

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", [1, 2])
def test_committed_samples_survive_sigkill(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # chooses when to kill, no secret
    path = tmp_path / "foresail.db"
    kept = Kept()
    for lines in [1, *(rng.randrange(1, 60) for _ in range(4))]:
        kept = check_store(path, killed_after_lines(path, done=kept.batches, lines=lines), kept)
    assert kept.batches > 10
