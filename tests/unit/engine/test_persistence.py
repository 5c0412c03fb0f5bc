"""What is pending while the store fails: kept, bounded, written when it works again."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.engine.persistence import Persistence
from scaler.errors import StoreError
from scaler.store.base import StoredModel
from scaler.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = 1_700_000_000.0


class FlakyStore:
    """A real store that fails on demand."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.error: Exception | None = None
        self.hold: threading.Event | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.hold is not None:
                self.hold.wait(30)
            if self.error is not None:
                raise self.error
            return method(*args, **kwargs)

        return call


class Bench:
    def __init__(self, store: SqliteStore, *, most_pending: int) -> None:
        self.store = FlakyStore(store)
        self.errors: list[str] = []
        self.persistence = Persistence(
            self.store, on_error=lambda error: self.errors.append(str(error)), most_pending=most_pending
        )

    def add(self, *values: float, at: int = 0, series: str = "s") -> None:
        self.persistence.add_samples(series, TimeSeries(at, 60, np.array(values)))

    async def stored(self, series: str = "s") -> list[float]:
        self.store.error = None
        found = await self.persistence.history(series, step=60, since=0)
        assert found is not None
        values: list[float] = found.values.tolist()
        return values


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(SqliteStore(tmp_path / "foresail.db"), most_pending=1000)
    yield one
    one.store.error = None
    await one.persistence.close(now=NOW)


async def test_what_the_store_refuses_stays_pending_and_is_written_when_it_works(bench: Bench) -> None:
    bench.store.error = StoreError("the disk is full")
    bench.add(1.0)
    bench.persistence.add_snapshot("shop/web/0", b"old")
    await bench.persistence.flush(now=NOW)
    assert bench.errors == ["the disk is full"] * 2
    bench.add(2.0, at=60)
    bench.persistence.add_snapshot("shop/web/0", b"new")
    await bench.persistence.flush(now=NOW)
    bench.store.error = None
    await bench.persistence.flush(now=NOW)
    assert await bench.stored() == [1.0, 2.0]
    assert await bench.persistence.snapshots() == [("shop/web/0", b"new")]


async def test_nothing_is_written_twice(bench: Bench) -> None:
    bench.add(1.0)
    await bench.persistence.flush(now=NOW)
    bench.store.error = StoreError("not asked")
    await bench.persistence.flush(now=NOW)
    assert bench.errors == []


async def test_an_empty_batch_is_none(bench: Bench) -> None:
    bench.add()
    bench.store.error = StoreError("not asked")
    await bench.persistence.flush(now=NOW)
    assert bench.errors == []


async def test_a_store_that_fails_for_ever_fills_no_memory(bench: Bench) -> None:
    bench.store.error = StoreError("the disk is full")
    for n in range(500):
        bench.add(float(n), at=60 * n)
        if n % 100 == 0:
            await bench.persistence.flush(now=NOW)
    bench.store.error = None
    await bench.persistence.flush(now=NOW)
    assert await bench.stored() == [float(n) for n in range(470, 500)]  # 30 batches of 1 + 32


async def test_one_batch_larger_than_the_bound_is_kept(bench: Bench) -> None:
    bench.add(*([1.0] * 2000))
    await bench.persistence.flush(now=NOW)
    assert len(await bench.stored()) == 2000


async def test_what_nobody_foresaw_loses_nothing_either(bench: Bench) -> None:
    bench.store.error = ValueError("a bug")
    bench.add(1.0)
    with pytest.raises(ValueError, match="a bug"):
        await bench.persistence.flush(now=NOW)
    bench.store.error = None
    await bench.persistence.flush(now=NOW)
    assert await bench.stored() == [1.0]


async def test_a_flush_cut_short_by_the_end_loses_nothing(bench: Bench) -> None:
    bench.store.hold = threading.Event()
    reading = asyncio.create_task(bench.persistence.model("s", "naive"))  # the store's thread is busy
    bench.add(1.0)
    flushing = asyncio.create_task(bench.persistence.flush(now=NOW))
    await asyncio.sleep(0)
    flushing.cancel()
    await asyncio.gather(flushing, return_exceptions=True)
    bench.store.hold.set()
    await reading
    await bench.persistence.flush(now=NOW)
    assert await bench.stored() == [1.0]


async def test_a_store_that_cannot_be_read_knows_nothing(bench: Bench) -> None:
    bench.store.error = StoreError("the disk is gone")
    assert await bench.persistence.history("s", step=60, since=0) is None
    assert await bench.persistence.model("s", "naive") is None
    assert await bench.persistence.snapshots() == []
    await bench.persistence.put_model("s", StoredModel("naive", b"", 0, 0.0))
    await bench.persistence.forget(before=0.0, most_decisions=9)
    assert bench.errors == ["the disk is gone"] * 5


async def test_closing_writes_what_is_pending(tmp_path: Path) -> None:
    bench = Bench(SqliteStore(tmp_path / "foresail.db"), most_pending=1000)
    bench.add(1.0)
    await bench.persistence.close(now=NOW)
    store = SqliteStore(tmp_path / "foresail.db")
    assert store.history("s", step=60, since=0).values.tolist() == [1.0]
    store.close()
