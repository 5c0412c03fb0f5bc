"""What the gRPC servicer asks: from a call's metadata to a decision. Implemented by `scaler.edge`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.decision import Decision
    from scaler.trigger import TriggerConfig

__all__ = ["Desk"]


class Desk(Protocol):
    """Reads from memory; the only thing it ever waits for, bounded, is a trigger's first value."""

    def trigger(self, namespace: str, name: str, metadata: Mapping[str, str]) -> TriggerConfig:
        """The parsed metadata, cached by content. It does not register the trigger: GetMetricSpec needs no more.

        Raises:
            InvalidTrigger: The metadata has problems.
        """
        ...

    def peek(self, trigger: TriggerConfig, *, follows: bool = False) -> Decision | None:
        """The decision if the trigger is known and its load too; never waits. Counts as a call of the trigger.

        IsActive comes a millisecond or two after the GetMetrics of the same poll and says `follows=True`: it gets
        that very decision, even if a new snapshot has arrived in between. GetMetrics and streams leave it out.

        Raises:
            ValueUnknown: The trigger is known, its load is not (any more).
            ValueUnservable: The load is no number that the HPA can take.
        """
        ...

    async def decision(self, trigger: TriggerConfig, *, follows: bool = False) -> Decision:
        """As `peek`, but registers an unknown trigger and waits a bounded moment for its first value.

        Raises:
            ValueUnknown, ValueUnservable: As `peek`; ValueUnknown when the moment has passed.
            LimitReached: No more triggers are taken.
            AddressRefused: The address policy refuses the trigger's source.
        """
        ...

    async def changed(self, trigger: TriggerConfig) -> None:
        """Returns when the trigger's decision may have changed since the last look: a new snapshot, or time."""
        ...
