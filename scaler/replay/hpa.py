"""One HorizontalPodAutoscaler, sync by sync, as Kubernetes 1.36 was recorded doing it behind KEDA.

The order within a sync: a size of 0 or outside [min, max] is put right without looking at any metric; else
every metric proposes, the proposals are steadied by the memory of earlier ones, then limited by policies, min
and max. An HPA **without** a `behavior`, as KEDA makes them by default, takes a path of its own through the
last two.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from scaler.replay.behavior import DEFAULT_TOLERANCE, Behavior
from scaler.replay.limits import ScaleEvents, legacy_limit
from scaler.replay.proposal import Metric, combined, proposal
from scaler.replay.stabilisation import Recommendations

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SYNC_PERIOD", "Autoscaler", "HpaSpec", "Limit", "Verdict"]

SYNC_PERIOD = 15
"""The controller manager's `--horizontal-pod-autoscaler-sync-period`, seconds."""

_LEGACY_WINDOW = 300  # its `--horizontal-pod-autoscaler-downscale-stabilization`, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaSpec:
    """What an HPA is told to do.

    Attributes:
        min_replicas: At least 1.
        max_replicas: At least `min_replicas`.
        metrics: Its external metrics, one or more.
        behavior: None: no `behavior` in the manifest, the older rules hold.
    """

    min_replicas: int
    max_replicas: int
    metrics: tuple[Metric, ...]
    behavior: Behavior | None = None


class Limit(Enum):
    """What a sync's size was limited by: the reason of the HPA's condition ScalingLimited."""

    NONE = "DesiredWithinRange"
    UP = "ScaleUpLimit"
    DOWN = "ScaleDownLimit"
    MAX = "TooManyReplicas"
    MIN = "TooFewReplicas"


_NONE, _UP, _MAX, _MIN = Limit.NONE, Limit.UP, Limit.MAX, Limit.MIN  # an Enum's members are slow to come by


class Verdict(msgspec.Struct, frozen=True, gc=False):  # hot: several times as fast to make as a named tuple
    """One sync's outcome.

    Attributes:
        replicas: The size from now on.
        proposed: What the metrics asked for; None where none was asked or the answer is not known.
        stabilised: The memory of earlier recommendations changed the proposal.
        limit: What limited the size; None where `proposed` is None.
        failed: A metric was needed and not known.
    """

    replicas: int
    proposed: int | None = None
    stabilised: bool = False
    limit: Limit | None = None
    failed: bool = False


class Autoscaler:
    """An HPA with its memory. The memory dies with it: pausing a ScaledObject makes a new one."""

    __slots__ = ("_events", "_recommendations", "_spec", "_tolerance")

    def __init__(self, spec: HpaSpec) -> None:
        self._recommendations: Recommendations | None = None
        self._events: ScaleEvents | None = None
        self.edit(spec)

    def edit(self, spec: HpaSpec) -> None:
        """Takes an edited spec; the memory stays."""
        self._spec = spec
        behavior = spec.behavior
        if behavior is None:
            self._tolerance = (DEFAULT_TOLERANCE, DEFAULT_TOLERANCE)
            return
        self._tolerance = (behavior.up.tolerance, behavior.down.tolerance)
        if self._events is None:
            self._events = ScaleEvents(behavior)
        else:
            self._events.use(behavior)

    def sync(self, now: float, usages: Sequence[int | None], *, replicas: int, pods: int, ready: int) -> Verdict:
        """What the HPA does at one sync.

        Args:
            now: Seconds, never less than at the sync before.
            usages: One per metric, in thousandths; None where the metric cannot be had.
            replicas: The Deployment's `spec.replicas`.
            pods: Its `status.replicas`: those not ready included, those being stopped not.
            ready: Its pods that run and are ready, those being stopped included.
        """
        if self._recommendations is None:
            self._recommendations = Recommendations(now, replicas)
        spec = self._spec
        if replicas == 0:  # switched off, by KEDA or by hand; the memory stays as it is
            return Verdict(0)
        if not spec.min_replicas <= replicas <= spec.max_replicas:
            bound = min(max(replicas, spec.min_replicas), spec.max_replicas)
            self._record(now, replicas, bound)
            return Verdict(bound)
        proposed = self._proposed(usages, replicas, pods, ready)
        if proposed is None:  # nothing is remembered either: a long outage empties the window
            return Verdict(replicas, failed=True)
        verdict = self._normalised(now, proposed, replicas, self._recommendations)
        self._record(now, replicas, verdict.replicas)
        return verdict

    def _proposed(self, usages: Sequence[int | None], replicas: int, pods: int, ready: int) -> int | None:
        metrics, tolerance = self._spec.metrics, self._tolerance
        if len(metrics) == 1:
            (usage,) = usages
            if usage is None:
                return None
            return proposal(metrics[0], usage, tolerance, replicas=replicas, pods=pods, ready=ready)
        proposals = [
            None if usage is None else proposal(metric, usage, tolerance, replicas=replicas, pods=pods, ready=ready)
            for metric, usage in zip(metrics, usages, strict=True)
        ]
        return combined(proposals, replicas)

    def _normalised(self, now: float, proposed: int, replicas: int, memory: Recommendations) -> Verdict:
        spec, events = self._spec, self._events
        behavior = spec.behavior
        if behavior is None or events is None:
            steady = memory.highest(now, proposed, _LEGACY_WINDOW)
            size, limit = _legacy(steady, replicas, spec)
        else:
            steady = memory.held(now, proposed, replicas, behavior.up.window, behavior.down.window)
            size, limit = _limited(now, steady, replicas, spec, events)
        return Verdict(size, proposed, steady != proposed, limit)

    def _record(self, now: float, before: int, after: int) -> None:
        if self._events is not None and before != after and self._spec.behavior is not None:
            self._events.record(now, before, after)


def _legacy(steady: int, replicas: int, spec: HpaSpec) -> tuple[int, Limit]:
    if steady < spec.min_replicas:
        return spec.min_replicas, _MIN
    highest, limit = spec.max_replicas, _MAX
    if highest > (allowed := legacy_limit(replicas)):
        highest, limit = allowed, _UP
    return (highest, limit) if steady > highest else (steady, _NONE)


def _limited(now: float, steady: int, replicas: int, spec: HpaSpec, events: ScaleEvents) -> tuple[int, Limit]:
    if steady > replicas:
        highest, limit = spec.max_replicas, Limit.MAX
        if highest > (allowed := events.highest(now, replicas)):
            highest, limit = allowed, Limit.UP
        return (highest, limit) if steady > highest else (steady, Limit.NONE)
    if steady < replicas:
        lowest, limit = spec.min_replicas, Limit.MIN
        if lowest < (allowed := events.lowest(now, replicas)):
            lowest, limit = allowed, Limit.DOWN
        return (lowest, limit) if steady < lowest else (steady, Limit.NONE)
    return steady, Limit.NONE
