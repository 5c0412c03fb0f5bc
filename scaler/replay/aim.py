"""What a user allows to go unserved, and what was chosen for it: declarations, without numerics."""

from __future__ import annotations

import msgspec

from scaler.decision.decision import DecisionPolicy

__all__ = ["Aim", "Choice"]


class Aim(msgspec.Struct, frozen=True):
    """What a user allows.

    Attributes:
        shortfall: Part of the load that may go unserved.
        policy: By what is served.
    """

    shortfall: float
    policy: DecisionPolicy


class Choice(msgspec.Struct, frozen=True, array_like=True):
    """The quantile chosen.

    Attributes:
        quantile: Which.
        words: Why, for people.
    """

    quantile: float
    words: str
