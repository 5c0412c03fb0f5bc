"""The store behind a thread of its own: the engine's loop never waits on a disk."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from scaler.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.series import TimeSeries
    from scaler.store.base import Store, StoredModel
    from scaler.store.decisions import LogRow

__all__ = ["Persistence"]

_T = TypeVar("_T")
_MOST_PENDING = 4_000_000  # samples kept while the store fails, 32 MB: beyond it the oldest go, the source has them
_BATCH = 32  # samples that a batch costs beside those in it


class Persistence:
    """Collects what is to be kept and writes it in few transactions; reads when a series is first seen."""

    def __init__(
        self, store: Store, *, on_error: Callable[[StoreError], None], most_pending: int = _MOST_PENDING
    ) -> None:
        """Args:
        store: Called only from this object's thread.
        on_error: Told of every failure; the data stays pending.
        most_pending: Samples that may be pending, each batch counting as 32 more.
        """
        self._store = store
        self._on_error = on_error
        self._most_pending = most_pending
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._samples: deque[tuple[str, TimeSeries]] = deque()
        self._pending = 0  # what they cost
        self._snapshots: dict[str, bytes] = {}

    def add_samples(self, series_id: str, samples: TimeSeries) -> None:
        """Samples for the next flush."""
        if len(samples):
            self._samples.append((series_id, samples))
            self._pending += _cost(samples)
            self._bound()

    def _bound(self) -> None:
        while self._pending > self._most_pending and len(self._samples) > 1:
            _, oldest = self._samples.popleft()
            self._pending -= _cost(oldest)

    def add_snapshot(self, trigger_id: str, data: bytes) -> None:
        """A snapshot for the next flush; a newer one of the same trigger replaces it."""
        self._snapshots[trigger_id] = data

    async def flush(self, *, now: float) -> None:
        """Writes all that is pending; keeps it pending if the store fails."""
        samples, self._samples, self._pending = self._samples, deque(), 0
        snapshots, self._snapshots = self._snapshots, {}
        try:
            if samples and await self._try(partial(self._store.append, list(samples))):
                samples = deque()
            if snapshots and await self._try(partial(self._store.put_snapshots, list(snapshots.items()), now=now)):
                snapshots = {}
        finally:  # also when this is cancelled: what may not have been written is written again, which changes nothing
            self._samples = samples + self._samples
            self._pending = sum(_cost(batch) for _, batch in self._samples)
            self._snapshots = {**snapshots, **self._snapshots}
            self._bound()

    async def add_decisions(self, rows: list[LogRow]) -> None:
        """Writes changes of served values; they are lost if the store fails."""
        await self._try(partial(self._store.add_decisions, rows))

    async def decisions(self, of: str, *, since: float, most: int) -> list[LogRow]:
        """The newest logged changes; none if the store fails."""
        return await self._read(partial(self._store.decisions, of, since=since, most=most)) or []

    async def put_model(self, series_id: str, model: StoredModel) -> None:
        """Keeps a fitted model at once: it cost the most."""
        await self._try(partial(self._store.put_model, series_id, model))

    async def history(self, series_id: str, *, step: int, since: int) -> TimeSeries | None:
        """The stored past of a series; None if the store fails."""
        return await self._read(partial(self._store.history, series_id, step=step, since=since))

    async def model(self, series_id: str, forecaster: str) -> StoredModel | None:
        """The stored model; None if there is none or the store fails."""
        return await self._read(partial(self._store.model, series_id, forecaster))

    async def snapshots(self) -> list[tuple[str, bytes]]:
        """All stored snapshots; none if the store fails."""
        return await self._read(lambda: list(self._store.snapshots())) or []

    async def forget(self, *, before: float, most_decisions: int) -> None:
        """Drops what is older than its retention."""
        forget = partial(
            self._store.forget, samples_before=int(before), snapshots_before=before, most_decisions=most_decisions
        )
        await self._try(forget)

    async def close(self, *, now: float) -> None:
        """Writes what is pending and closes the store."""
        await self.flush(now=now)
        await self._try(self._store.close)
        self._thread.shutdown(wait=True)

    async def _try(self, write: Callable[[], None]) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, write)
        except StoreError as error:
            self._on_error(error)
            return False
        return True

    async def _read(self, read: Callable[[], _T]) -> _T | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, read)
        except StoreError as error:
            self._on_error(error)
            return None


def _cost(samples: TimeSeries) -> int:
    return len(samples) + _BATCH
