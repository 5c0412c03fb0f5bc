"""How far one sync may change the size: the policies of a `behavior`, and the rule of an HPA without one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaler.replay.behavior import Behavior, Policy

__all__ = ["ScaleEvents", "legacy_limit", "percent_down", "percent_up"]


def legacy_limit(replicas: int) -> int:
    """The largest size of one sync without a `behavior`."""
    return 2 * replicas if replicas > 2 else 4  # hot: no max() in here


def percent_up(start: int, value: int) -> int:
    """The limit of a Percent policy upwards: a part of a pod counts as one."""
    return math.ceil(start * (1.0 + value / 100.0))


def percent_down(start: int, value: int) -> int:
    """The limit of a Percent policy downwards: rounded down, so at least one pod may always go."""
    return int(start * (1.0 - value / 100.0))


class ScaleEvents:
    """The changes of size that the policies count, in slots: a new one takes the place of an outdated one.

    An event is outdated once it is older than the longest period of *its own direction*, though the other
    direction may count over a longer time. That forgets events too early, and so does the real controller.
    """

    __slots__ = ("_behavior", "_down", "_up")

    def __init__(self, behavior: Behavior) -> None:
        self._behavior = behavior
        self._up: list[tuple[float, int]] = []
        self._down: list[tuple[float, int]] = []

    def use(self, behavior: Behavior) -> None:
        """Goes on with edited rules; the events stay."""
        self._behavior = behavior

    def record(self, now: float, before: int, after: int) -> None:
        """Remembers a change of size."""
        if after > before:
            _store(self._up, now, after - before, self._behavior.up.longest_period)
        else:
            _store(self._down, now, before - after, self._behavior.down.longest_period)

    def highest(self, now: float, replicas: int) -> int:
        """The largest size allowed now."""
        rules = self._behavior.up
        if rules.select == "Disabled":
            return replicas
        limits = [self._upwards(policy, now, replicas) for policy in rules.policies]
        return max(replicas, max(limits) if rules.select == "Max" else min(limits))

    def lowest(self, now: float, replicas: int) -> int:
        """The smallest size allowed now."""
        rules = self._behavior.down
        if rules.select == "Disabled":
            return replicas
        limits = [self._downwards(policy, now, replicas) for policy in rules.policies]
        # the largest change downwards is the smallest size
        return min(replicas, min(limits) if rules.select == "Max" else max(limits))

    def _upwards(self, policy: Policy, now: float, replicas: int) -> int:
        start = self._start(policy, now, replicas)
        return start + policy.value if policy.kind == "Pods" else percent_up(start, policy.value)

    def _downwards(self, policy: Policy, now: float, replicas: int) -> int:
        start = self._start(policy, now, replicas)
        return start - policy.value if policy.kind == "Pods" else percent_down(start, policy.value)

    def _start(self, policy: Policy, now: float, replicas: int) -> int:
        """The size when the policy's period began: the changes of both directions are taken back."""
        cutoff = now - policy.period
        added = sum(change for time, change in self._up if time > cutoff)
        removed = sum(change for time, change in self._down if time > cutoff)
        return replicas - added + removed


def _store(events: list[tuple[float, int]], now: float, change: int, longest_period: int) -> None:
    cutoff = now - longest_period
    outdated = [index for index, (time, _) in enumerate(events) if time <= cutoff]
    if outdated:
        events[outdated[-1]] = (now, change)
    else:
        events.append((now, change))
