"""Two policies are compared at equal cost: anyone sheds less by paying more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler.replay.simulator import Outcome

__all__ = ["HEADROOMS", "QUANTILES", "Point", "shed_at_cost"]

HEADROOMS = (1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.4, 1.45, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.25, 2.5, 3.0, 4.0)
"""Headrooms of a sweep over a policy without a forecast."""

QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.98, 0.99)
"""Quantiles of a sweep over a policy with one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting of a policy, and what came of it.

    Attributes:
        policy: Its name.
        headroom: On the observed load.
        quantile: Of the forecast peak; None: chosen with each fit, or no forecast.
        under_provisioned_load: Part of the load that found no ready pod.
        under_provisioned_time: Part of the time in which some load found none.
        pod_hours: Cost.
        oracle_pod_hours: The oracle's cost.
        scale_events: Changes of size.
    """

    policy: str
    headroom: float | None
    quantile: float | None
    under_provisioned_load: float
    under_provisioned_time: float
    pod_hours: float
    oracle_pod_hours: float
    scale_events: int

    @property
    def cost_ratio(self) -> float:
        """Cost in units of the oracle's."""
        return self.pod_hours / self.oracle_pod_hours

    @classmethod
    def of(cls, outcome: Outcome, *, policy: str, headroom: float | None, quantile: float | None) -> Point:
        """The figures of an outcome."""
        return cls(
            policy=policy,
            headroom=headroom,
            quantile=quantile,
            under_provisioned_load=outcome.under_provisioned_load,
            under_provisioned_time=outcome.under_provisioned_time,
            pod_hours=outcome.pod_hours,
            oracle_pod_hours=outcome.oracle_pod_hours,
            scale_events=outcome.scale_events,
        )


def shed_at_cost(curve: Sequence[Point], cost_ratio: float) -> float | None:
    """What the policy of a sweep sheds at a cost, linearly between its settings; None outside of what was swept."""
    by_cost = sorted((point.cost_ratio, point.under_provisioned_load) for point in curve)
    if not by_cost or not by_cost[0][0] <= cost_ratio <= by_cost[-1][0]:
        return None
    costs, sheds = zip(*by_cost, strict=True)
    return float(np.interp(cost_ratio, costs, sheds))
