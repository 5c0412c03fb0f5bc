"""What the engine tells telemetry, so that it need not know what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scaler.engine.fits import Priority
    from scaler.errors import ForesailError
    from scaler.tenancy.ledger import Usage

__all__ = ["Meter", "NoMeter"]


class Meter(Protocol):
    """Called from the engine's loop: must not block."""

    def source_asked(self, request: str, error: ForesailError | None, *, series: str) -> None:
        """A request (`instant` or `range`) was answered, or failed like this."""

    def fitted(self, forecaster: str, outcome: str, cpu_seconds: float, *, reason: str = "") -> None:
        """A fit ended: `fitted`, or `failed` or `lost` for this reason."""

    def fit_turn(self, priority: Priority, waited: float) -> None:
        """A fit's turn has come, after so many seconds in the queue."""

    def evicted(self, reason: str, triggers: int) -> None:
        """So many triggers were let go of: `idle`, or to make `room` for others."""

    def worker_lost(self) -> None:
        """A fit worker died or was killed."""

    def store_failed(self, error: ForesailError) -> None:
        """The store could not be read or written."""

    def bug(self, job: str, error: Exception) -> None:
        """A job ended in an error that nobody foresaw; the engine goes on with the next."""

    def follow_namespaces(self, usages: Callable[[], Iterable[tuple[str, Usage]]]) -> None:
        """What namespaces take can be asked here from now on."""


class NoMeter:
    """Tells nobody: for tests and tools."""

    def source_asked(self, request: str, error: ForesailError | None, *, series: str) -> None:
        """Nothing."""

    def fitted(self, forecaster: str, outcome: str, cpu_seconds: float, *, reason: str = "") -> None:
        """Nothing."""

    def fit_turn(self, priority: Priority, waited: float) -> None:
        """Nothing."""

    def evicted(self, reason: str, triggers: int) -> None:
        """Nothing."""

    def worker_lost(self) -> None:
        """Nothing."""

    def store_failed(self, error: ForesailError) -> None:
        """Nothing."""

    def bug(self, job: str, error: Exception) -> None:
        """Nothing."""

    def follow_namespaces(self, usages: Callable[[], Iterable[tuple[str, Usage]]]) -> None:
        """Nothing."""
