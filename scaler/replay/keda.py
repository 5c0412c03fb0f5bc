"""KEDA's own part: waking, going to sleep, and the fallback where a trigger fails. The HPA does the rest.

As a recorded KEDA 2.20.1 does it: a poll every `polling_interval` looks at the activity alone, and changes
the size only between 0 (or the idle size) and the minimum, past the HPA's windows and policies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Fallback", "FallbackCounter", "Keda", "ScaledObjectSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """`fallback` of a ScaledObject: the size to ask for once a trigger failed too often."""

    failure_threshold: int
    replicas: int
    behavior: Literal["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"] = "static"

    def size(self, current: int) -> int:
        """The size asked for while `current` replicas are there."""
        if self.behavior == "currentReplicas":
            return current
        if self.behavior == "currentReplicasIfHigher":
            return max(current, self.replicas)
        if self.behavior == "currentReplicasIfLower":
            return min(current, self.replicas)
        return self.replicas


class FallbackCounter:
    """Counts one metric's failures on both paths, KEDA's poll and the HPA's call alike."""

    __slots__ = ("_failures", "_fallback")

    def __init__(self, fallback: Fallback) -> None:
        self._fallback = fallback
        self._failures = 0

    def good(self) -> None:
        """An answer came: the count starts anew."""
        self._failures = 0

    def failed(self, current: int) -> int | None:
        """No answer came: the size to ask for with `current` replicas; None up to the threshold."""
        self._failures += 1
        if self._failures <= self._fallback.failure_threshold:
            return None
        return self._fallback.size(current)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledObjectSpec:
    """What KEDA is told to do; KEDA's defaults.

    Attributes:
        min_replicas: 0 or more; the HPA's own minimum is at least 1.
        idle_replicas: The size while no trigger is active; None: `min_replicas`.
        polling_interval: Seconds between two polls.
        cooldown_period: Seconds from the last active poll to going to sleep.
    """

    min_replicas: int = 0
    idle_replicas: int | None = None
    polling_interval: int = 30
    cooldown_period: int = 300

    @property
    def asleep(self) -> int:
        """The size while no trigger is active."""
        return self.min_replicas if self.idle_replicas is None else self.idle_replicas

    @property
    def awake(self) -> int:
        """The smallest size while a trigger is active: the HPA's minimum."""
        return max(1, self.min_replicas)


class Keda:
    """KEDA's loop over one ScaledObject."""

    __slots__ = ("_last_active", "_spec")

    def __init__(self, spec: ScaledObjectSpec) -> None:
        self._spec = spec
        self._last_active: float | None = None

    def poll(self, now: float, active: Sequence[bool | None], replicas: int) -> int:
        """The size after one poll.

        Args:
            now: Seconds, never less than at the poll before.
            active: Of each trigger; None where it failed and has no fallback. A fallback counts as active.
            replicas: The Deployment's `spec.replicas`.
        """
        spec = self._spec
        if any(active):
            self._last_active = now
            return spec.awake if replicas == 0 or replicas < spec.min_replicas else replicas
        if None in active:  # unknown is not inactive: nothing moves, however long it lasts
            return replicas
        if replicas <= spec.asleep:
            return spec.asleep
        if spec.asleep == spec.min_replicas > 0:
            return replicas  # nothing to sleep to: the HPA holds the minimum
        # one that was never active has nothing to cool down from
        if self._last_active is None or now >= self._last_active + spec.cooldown_period:
            return spec.asleep
        return replicas
