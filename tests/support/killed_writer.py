"""A process that writes to a store and is killed; and what must hold of the file afterwards."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaler.store.base import StoredModel
from scaler.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Kept", "check_store", "killed_after_lines", "killed_within"]

_WRITER = """
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


def _writer(path: Path, done: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _WRITER, path, str(done)], stdout=subprocess.PIPE, text=True)


def killed_after_lines(path: Path, *, done: int, lines: int) -> int:
    """Lets a writer go on after batch `done`, kills it after so many lines of its output; the last batch it told of."""
    with _writer(path, done) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        told += writer.stdout.readlines()
    return _last(told, done)


def killed_within(path: Path, *, done: int, seconds: float) -> int:
    """As `killed_after_lines`, but so many seconds after it has begun, wherever it may be by then."""
    with _writer(path, done) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline()]
        with suppress(subprocess.TimeoutExpired):
            writer.wait(seconds)  # it never ends by itself, and its pipe holds more than it can tell in this time
        assert writer.returncode is None, "the writer has failed"
        writer.kill()
        told += writer.stdout.readlines()
    return _last(told, done)


def _last(told: list[str], done: int) -> int:
    numbers = [int(line) for line in told if line.endswith("\n") and line.strip().isdigit()]
    return numbers[-1] if numbers else done


@dataclass(frozen=True)
class Kept:
    """What a store held after a kill: the batches of samples in it, and the batch that its model, and its snapshots,
    are of. A kill between two writes of a batch leaves these behind, until a later writer gets further.
    """

    batches: int = 0
    model: int = 0
    snapshots: int = 0


def check_store(path: Path, told: int, before: Kept) -> Kept:
    """Opens the store as a server would: all that was told of is there, the next batch wholly or not at all.

    Args:
        path: The store.
        told: The last batch that this writer told of; that which it was to go on after if it told of none.
        before: What the store held when the writer began.
    """
    store = SqliteStore(path)
    assert store.set_aside == ()
    history = store.history("series-0", step=60, since=0)
    batches = len(history) // 3
    assert told <= batches <= told + 1
    assert np.array_equal(history.values, np.repeat(np.arange(1.0, batches + 1), 3))
    assert all(store.history(f"series-{i}", step=60, since=0) == history for i in range(1, 40))
    model, snapshots = store.model("series-0", "ets"), dict(store.snapshots())
    of_model = 0 if model is None else model.train_end
    assert model in (None, StoredModel("ets", b"%d" % of_model, train_end=of_model, fitted_at=float(of_model)))
    assert len(snapshots) in (0, 40)
    assert len(set(snapshots.values())) <= 1  # of one batch, all of them
    of_snapshots = int(next(iter(snapshots.values()), b"0"))
    told_of = told if told > before.batches else 0
    assert max(told_of, before.model) <= of_model <= batches
    assert max(told_of, before.snapshots) <= of_snapshots <= of_model
    store.close()
    return Kept(batches, of_model, of_snapshots)
