"""What one metric wants: the first half of a sync.

The controller's arithmetic in 64-bit floats on thousandths, as a recorded Kubernetes 1.36 does it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Metric", "combined", "proposal", "within_tolerance"]


@dataclass(frozen=True, slots=True)
class Metric:
    """An external metric of an HPA.

    Attributes:
        target: In thousandths.
        per_pod: True for AverageValue: the target is one pod's share of the value. False for Value.
    """

    target: int
    per_pod: bool = True


def within_tolerance(ratio: float, up: float, down: float) -> bool:
    """Whether usage is near enough to the target to leave the size alone; both bounds belong to it."""
    return 1.0 - down <= ratio <= 1.0 + up


def proposal(
    metric: Metric, usage: int, tolerance: tuple[float, float], *, replicas: int, pods: int, ready: int
) -> int:
    """The size that one metric asks for.

    Args:
        metric: Its target.
        usage: In thousandths.
        tolerance: Up and down.
        replicas: The Deployment's `spec.replicas`, at least 1.
        pods: Its `status.replicas`.
        ready: Its pods that run and are ready, those being stopped included.
    """
    up, down = tolerance
    if metric.per_pod:
        # readiness plays no part, and the proposal does not depend on the current size
        if pods and within_tolerance(usage / (metric.target * pods), up, down):
            return pods
        return math.ceil(usage / metric.target)
    ratio = usage / metric.target
    if within_tolerance(ratio, up, down):
        return replicas
    return math.ceil(ratio * ready)


def combined(proposals: Sequence[int | None], replicas: int) -> int | None:
    """What all metrics together ask for: the most; None if that is not known.

    A failed metric (None) might have asked for more: the others decide unless they want fewer than now.
    """
    known = [size for size in proposals if size is not None]
    if not known:
        return None
    largest = max(known)
    if len(known) < len(proposals) and largest < replicas:
        return None
    return largest
