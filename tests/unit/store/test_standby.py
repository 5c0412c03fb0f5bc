from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.errors import StoreError
from scaler.store.base import Store, StoredModel
from scaler.store.sqlite import SqliteStore
from scaler.store.standby import StandbyStore

if TYPE_CHECKING:
    from pathlib import Path

HOUR = TimeSeries(6000, 60, np.arange(100.0))
LATER = TimeSeries(12000, 60, np.arange(3.0))
MODEL = StoredModel("naive", b"fitted", train_end=11940, fitted_at=12000.0)


@dataclass
class Bench:
    """A store whose directory cannot be made until `mend` is called."""

    directory: Path
    now: float = 0.0
    errors: list[StoreError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.write_text("a file in the way")
        self.path = self.directory / "foresail.db"

    def mend(self) -> None:
        self.directory.unlink()

    def open(self) -> StandbyStore:
        return StandbyStore(self.path, on_error=self.errors.append, busy_timeout=0.0, monotonic=lambda: self.now)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "data")


def fill(store: Store) -> None:
    store.append([("a", HOUR)])
    store.put_model("a", MODEL)
    store.put_snapshots([("t", b"first"), ("u", b"second")], now=12000.0)
    store.add_decisions([("shop/web/1", 12000.0, b"change")])


def check(store: Store) -> None:
    assert store.history("a", step=60, since=0) == HOUR
    assert store.model("a", "naive") == MODEL
    assert list(store.snapshots()) == [("t", b"first"), ("u", b"second")]
    assert store.decisions("shop/web/", since=0.0, most=9) == [("shop/web/1", 12000.0, b"change")]


def test_it_moves_into_the_file_once_that_can_be_opened(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = bench.open()
    fill(store)
    check(store)
    bench.now = 30.0
    check(store)  # tried again, in vain
    assert len(bench.errors) == 2
    bench.mend()
    bench.now = 59.0
    check(store)
    assert not bench.path.exists()  # not yet
    bench.now = 60.0
    check(store)
    store.append([("a", LATER)])
    store.close()
    assert [m for m in caplog.messages if m.startswith("store.")] == ["store.in_memory", "store.opened"]
    with closing(SqliteStore(bench.path)) as kept:
        assert kept.history("a", step=60, since=0).values.tolist() == [*HOUR.values, *LATER.values]
        assert kept.model("a", "naive") == MODEL
    assert len(bench.errors) == 2


def test_at_its_end_it_tries_once_more(bench: Bench) -> None:
    store = bench.open()
    fill(store)
    bench.mend()
    store.close()
    with closing(SqliteStore(bench.path)) as kept:
        check(kept)


def test_what_the_file_knows_besides_stays(tmp_path: Path) -> None:
    path = tmp_path / "foresail.db"
    with closing(SqliteStore(path)) as before:
        before.append([("a", TimeSeries(5940, 60, np.array([7.0, 8.0])))])
        before.put_snapshots([("t", b"old"), ("v", b"old")], now=1.0)
    errors: list[StoreError] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        store = StandbyStore(path, on_error=errors.append, busy_timeout=0.0, monotonic=lambda: 0.0)
        fill(store)
        other.execute("ROLLBACK")
    store.close()
    assert "has been locked by another process" in str(errors[0])
    with closing(SqliteStore(path)) as kept:
        assert kept.history("a", step=60, since=0).values.tolist() == [7.0, *HOUR.values]  # of two samples the newer
        assert dict(kept.snapshots()) == {"t": b"first", "u": b"second", "v": b"old"}


def test_a_file_that_fails_while_it_is_filled_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    store = bench.open()
    fill(store)
    bench.mend()
    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "add_decisions", _full)
        bench.now = 30.0
        check(store)
    assert str(bench.errors[-1]) == "its disk is full"
    bench.now = 60.0
    check(store)
    store.close()
    with closing(SqliteStore(bench.path)) as kept:
        check(kept)


def _full(*_: object) -> None:
    raise StoreError("its disk is full")


def test_a_file_that_can_be_opened_is_used_at_once(tmp_path: Path) -> None:
    path = tmp_path / "data" / "foresail.db"
    store = StandbyStore(path, on_error=_unexpected)
    fill(store)
    store.forget(samples_before=0, snapshots_before=0.0, most_decisions=9)
    check(store)
    assert store.set_aside == ()
    store.close()
    with closing(SqliteStore(path)) as kept:
        check(kept)


def _unexpected(error: StoreError) -> None:
    raise error
