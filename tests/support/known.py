"""A trigger as the edge knows it, for the pages that show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaler.decision import DecisionPolicy, Snapshot
    from scaler.errors import ForesailError
    from scaler.trigger import TriggerConfig

__all__ = ["Known"]


@dataclass(kw_only=True)
class Known:
    """Implements `scaler.web.views.Known`."""

    config: TriggerConfig
    policy: DecisionPolicy
    snapshot: Snapshot | None = None
    refusal: ForesailError | None = None

    @staticmethod
    def as_of(wall: float) -> float:
        return wall
