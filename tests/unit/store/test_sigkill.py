"""What was committed survives SIGKILL, whenever it comes; what was not is either wholly there or not at all."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.store.base import StoredModel
from scaler.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
import numpy as np
from forecasting.series import TimeSeries
from scaler.store.base import StoredModel
from scaler.store.sqlite import SqliteStore

print("starting", flush=True)
store = SqliteStore(Path(sys.argv[1]))
n = int(sys.argv[2])
while True:
    n += 1
    values = np.full(3, float(n))
    store.append([(f"series-{i}", TimeSeries(60 * 3 * n, 60, values)) for i in range(40)])
    store.put_model("series-0", StoredModel("ets", b"%d" % n, train_end=n, fitted_at=float(n)))
    store.put_snapshots([(f"trigger-{i}", b"%d" % n) for i in range(40)], now=float(n))
    if n % 20 == 0:
        store.forget(samples_before=0, snapshots_before=0.0, most_decisions=9)
    print(n, flush=True)
"""


def _write_until_killed(path: Path, *, done: int, lines: int) -> int:
    """Lets a writer go on after batch `done`, kills it after so many lines of its output; the last batch it told of."""
    with subprocess.Popen([sys.executable, "-c", WRITER, path, str(done)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        told += writer.stdout.readlines()
    numbers = [int(line) for line in told if line.endswith("\n") and line.strip().isdigit()]
    return numbers[-1] if numbers else done


@pytest.mark.parametrize("seed", [1, 2])
def test_committed_samples_survive_sigkill(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # chooses when to kill, no secret
    path = tmp_path / "foresail.db"
    done = 0
    for lines in [1, *(rng.randrange(1, 60) for _ in range(4))]:
        told = _write_until_killed(path, done=done, lines=lines)
        store = SqliteStore(path)
        assert store.set_aside == ()
        history = store.history("series-0", step=60, since=0)
        written = len(history) // 3
        assert told <= written <= told + 1
        assert np.array_equal(history.values, np.repeat(np.arange(1.0, written + 1), 3))
        assert all(store.history(f"series-{i}", step=60, since=0) == history for i in range(1, 40))
        if told:
            model = store.model("series-0", "ets")
            assert model in [StoredModel("ets", b"%d" % n, train_end=n, fitted_at=float(n)) for n in (told, told + 1)]
            snapshots = dict(store.snapshots())
            assert len(snapshots) == 40
            assert set(snapshots.values()) in [{b"%d" % told}, {b"%d" % (told + 1)}]
        store.close()
        done = written
    assert done > 10
