"""A store that begins in memory when its file cannot be opened, and moves into the file once it can.

A full disk, a volume that is mounted late, another process that holds the file: answers matter more than what
outlives a restart, and the fault passes without anybody telling us. Once the file is open, its own failures are the
caller's to wait out: `scaler.engine.persistence` keeps what could not be written.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scaler.errors import StoreError
from scaler.store.sqlite import SqliteStore
from scaler.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from forecasting.series import TimeSeries
    from scaler.store.base import StoredModel
    from scaler.store.decisions import LogRow
    from scaler.store.file import SetAside

__all__ = ["StandbyStore"]

_AGAIN = 30.0  # seconds between two attempts to open the file

log = get_logger(__name__)


class StandbyStore:
    """Implements `scaler.store.base.Store`; used from one thread at a time."""

    def __init__(
        self,
        path: Path,
        *,
        on_error: Callable[[StoreError], None],
        busy_timeout: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens the file, or begins in memory.

        Args:
            path: The file.
            on_error: Told each time that it cannot be opened.
            busy_timeout: Seconds to wait for another process's transaction.
            monotonic: Seconds that only grow.
        """
        self._path = path
        self._on_error = on_error
        self._busy_timeout = busy_timeout
        self._monotonic = monotonic
        self._memory: SqliteStore | None = None
        self._again_at = 0.0
        try:
            self._store = SqliteStore(path, busy_timeout=busy_timeout)
        except StoreError as error:
            kept = f"in memory, until the file can be opened, tried every {_AGAIN:g} s: a restart before forgets it"
            log.error("store.in_memory", reason=str(error), kept=kept)  # noqa: TRY400  # the text says all, a trace nothing
            self._failed(error)
            self._store = self._memory = SqliteStore(None)

    @property
    def set_aside(self) -> tuple[SetAside, ...]:
        """The files that could not be used since this store was opened."""
        return self._store.set_aside

    def append(self, batches: Sequence[tuple[str, TimeSeries]]) -> None:
        """See `Store`."""
        self._now().append(batches)

    def history(self, series_id: str, *, step: int, since: int) -> TimeSeries:
        """See `Store`."""
        return self._now().history(series_id, step=step, since=since)

    def put_model(self, series_id: str, model: StoredModel) -> None:
        """See `Store`."""
        self._now().put_model(series_id, model)

    def model(self, series_id: str, forecaster: str) -> StoredModel | None:
        """See `Store`."""
        return self._now().model(series_id, forecaster)

    def put_snapshots(self, snapshots: Sequence[tuple[str, bytes]], *, now: float) -> None:
        """See `Store`."""
        self._now().put_snapshots(snapshots, now=now)

    def snapshots(self) -> Iterator[tuple[str, bytes]]:
        """See `Store`."""
        return self._now().snapshots()

    def add_decisions(self, rows: Sequence[LogRow]) -> None:
        """See `Store`."""
        self._now().add_decisions(rows)

    def decisions(self, of: str, *, since: float, most: int) -> list[LogRow]:
        """See `Store`."""
        return self._now().decisions(of, since=since, most=most)

    def forget(self, *, samples_before: int, snapshots_before: float, most_decisions: int) -> None:
        """See `Store`."""
        self._now().forget(
            samples_before=samples_before, snapshots_before=snapshots_before, most_decisions=most_decisions
        )

    def close(self) -> None:
        """See `Store`; what is in memory gets a last chance."""
        self._again_at = 0.0
        self._now().close()

    def _now(self) -> SqliteStore:
        """The store to use; the file as soon as it can be opened."""
        if self._memory is None or self._monotonic() < self._again_at:
            return self._store
        try:
            file = SqliteStore(self._path, busy_timeout=self._busy_timeout)
            try:
                self._memory.pour_into(file)
            except StoreError:
                file.close()
                raise
        except StoreError as error:
            self._failed(error)
            return self._store
        self._memory.close()
        self._store, self._memory = file, None
        log.info("store.opened", path=self._path, kept="what was in memory is in the file now")
        return self._store

    def _failed(self, error: StoreError) -> None:
        self._again_at = self._monotonic() + _AGAIN
        self._on_error(error)
