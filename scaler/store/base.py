"""What the engine asks of a store. Blocking: the engine calls it from a thread of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forecasting.series import TimeSeries
    from scaler.store.decisions import LogRow

__all__ = ["Store", "StoredModel"]


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A fitted forecaster as `forecasting.serialise.dumps` wrote it, and what it was fitted to."""

    forecaster: str
    data: bytes
    train_end: int  # time of the last sample used, epoch seconds
    fitted_at: float  # epoch seconds


class Store(Protocol):
    """History per series, models per series and forecaster, last-good snapshots and a decision log per trigger.

    `series_id` and `trigger_id` are opaque texts without secrets. Methods raise StoreError.
    """

    def append(self, batches: Sequence[tuple[str, TimeSeries]]) -> None:
        """Adds samples to the history of several series in one transaction; a known sample is replaced,
        NaN never overwrites a known one.
        """
        ...

    def history(self, series_id: str, *, step: int, since: int) -> TimeSeries:
        """The samples of the series from `since` on; length 0 if there are none. Gaps are NaN."""
        ...

    def put_model(self, series_id: str, model: StoredModel) -> None:
        """Keeps the newest model of this forecaster for the series."""
        ...

    def model(self, series_id: str, forecaster: str) -> StoredModel | None:
        """The newest model of this forecaster for the series."""
        ...

    def put_snapshots(self, snapshots: Sequence[tuple[str, bytes]], *, now: float) -> None:
        """Keeps the last-good snapshot of each trigger, in one transaction."""
        ...

    def snapshots(self) -> Iterator[tuple[str, bytes]]:
        """All (trigger_id, snapshot) pairs, most recently written first."""
        ...

    def add_decisions(self, rows: Sequence[LogRow]) -> None:
        """Adds changes of served values to the log, in one transaction."""
        ...

    def decisions(self, of: str, *, since: float, most: int) -> list[LogRow]:
        """The newest `most` changes since then of the triggers whose ids begin with `of`, in the order of time."""
        ...

    def forget(self, *, samples_before: int, snapshots_before: float, most_decisions: int) -> None:
        """Drops samples, models, snapshots and logged decisions that are older than their retention.

        Of the decisions of each trigger, at most the newest `most_decisions` stay, however young the others are.
        """
        ...

    def close(self) -> None:
        """Writes what is pending and closes the file."""
        ...
