"""One trigger in the edge's memory."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from scaler import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.decision import Decision, DecisionPolicy, Snapshot
    from scaler.engine.messages import Refusal
    from scaler.trigger import TriggerConfig

__all__ = ["Entry"]

_REFUSALS = {
    cls.__name__: cls for cls in (errors.AddressRefused, errors.LimitReached, errors.TenantRefused, errors.ValueUnknown)
}


@dataclass(slots=True, kw_only=True)
class Entry:
    """A trigger in use: what its user wants, what is known of it, what was last decided."""

    config: TriggerConfig
    policy: DecisionPolicy
    registered: bool = False
    snapshot: Snapshot | None = None
    refusal: errors.ForesailError | None = None
    refused_at: float = 0.0  # monotonic
    decision: Decision | None = None
    decided_at: float = 0.0  # monotonic
    called_at: float = 0.0  # monotonic
    updated: asyncio.Event = field(default_factory=asyncio.Event)
    monotonic: Callable[[], float] = time.monotonic
    recalled: bool = False  # the snapshot is a store's: the engine has not said anything yet
    heard: float = float("-inf")  # the wall clock less the monotonic one when the observed value was first heard of

    def update(self, snapshot: Snapshot, *, wall: float, recalled: bool = False) -> None:
        """A new snapshot replaces the one before; whoever waits is woken.

        An engine that was just started may not know the load yet: the one known here goes on growing older.

        Args:
            snapshot: What is known now.
            wall: The wall clock's time, epoch seconds.
            recalled: It is what a store has kept.
        """
        if snapshot.observed is None and self.snapshot is not None and self.snapshot.observed is not None:
            before = self.snapshot
            snapshot = msgspec.structs.replace(snapshot, observed=before.observed, observed_at=before.observed_at)
        if snapshot.lead_time is not None and snapshot.lead_time != self.policy.lead_time:
            self.policy = msgspec.structs.replace(self.policy, lead_time=snapshot.lead_time)
        if self.snapshot is None or snapshot.observed_at != self.snapshot.observed_at:
            self.heard = wall - self.monotonic()
        self.snapshot, self.refusal, self.recalled = snapshot, None, recalled
        self._wake()

    def as_of(self, wall: float) -> float:
        """The moment to decide for, epoch seconds: `wall`, but no value grows younger when that clock is set back."""
        return max(wall, self.heard + self.monotonic())

    def refuse(self, refusal: Refusal, *, at: float) -> None:
        """The engine does not take this trigger."""
        known = _REFUSALS.get(refusal.error)
        self.refusal = known(refusal.text) if known else errors.InvalidTrigger.told(refusal.text)
        self.refused_at = at
        self._wake()

    def _wake(self) -> None:
        waiting, self.updated = self.updated, asyncio.Event()
        waiting.set()
