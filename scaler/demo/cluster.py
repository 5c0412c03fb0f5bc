"""A cluster in small: an HPA and pods that follow what one trigger answers, and the account of how they did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.replay.hpa import SYNC_PERIOD, Autoscaler, HpaSpec
from scaler.replay.pods import Pods
from scaler.replay.proposal import Metric
from scaler.replay.quantity import milli

if TYPE_CHECKING:
    from scaler.replay.behavior import Behavior

__all__ = ["Account", "Cluster"]


@dataclass(slots=True)
class Account:
    """What happened so far.

    Attributes:
        load: Sum of the load.
        shortfall: Sum of the load that found no ready pod.
        pod_ticks: Pods times syncs.
        ticks: Syncs.
    """

    load: float = 0.0
    shortfall: float = 0.0
    pod_ticks: int = 0
    ticks: int = 0

    @property
    def shed(self) -> float:
        """The part of the load that found no ready pod."""
        return self.shortfall / self.load if self.load else 0.0

    @property
    def pods(self) -> float:
        """Pods on average: what it cost."""
        return self.pod_ticks / self.ticks if self.ticks else 0.0


class Cluster:
    """One workload behind one HPA as KEDA creates it, one sync at a time."""

    def __init__(
        self,
        *,
        target: float,
        startup_ticks: int,
        pods: int,
        min_replicas: int = 1,
        max_replicas: int = 100,
        behavior: Behavior | None = None,
    ) -> None:
        """Args:
        target: Load that one pod carries.
        startup_ticks: Syncs until a new pod serves.
        pods: Ready pods at the start.
        min_replicas: The HPA's minimum.
        max_replicas: The HPA's maximum.
        behavior: The HPA's; None: it has none.
        """
        self._target = target
        metrics = (Metric(milli(target)),)
        self._hpa = Autoscaler(
            HpaSpec(min_replicas=min_replicas, max_replicas=max_replicas, metrics=metrics, behavior=behavior)
        )
        self._pods = Pods(pods, (startup_ticks,))
        self._tick = 0
        self.account = Account()

    def sync(self, served: float | None, load: float) -> None:
        """One HPA sync on the value served (None: an error), then the load until the next one."""
        self._tick += 1
        pods = self._pods
        pods.advance(self._tick)
        usage = None if served is None else milli(served)
        verdict = self._hpa.sync(
            self._tick * SYNC_PERIOD, (usage,), replicas=pods.total, pods=pods.total, ready=pods.ready
        )
        if verdict.replicas != pods.total:
            pods.resize(self._tick, verdict.replicas)
        self.account.load += load
        self.account.shortfall += max(0.0, load - self.capacity)
        self.account.pod_ticks += pods.total
        self.account.ticks += 1

    @property
    def ready(self) -> int:
        """Pods that serve."""
        return self._pods.ready

    @property
    def total(self) -> int:
        """Pods that exist, those starting included."""
        return self._pods.total

    @property
    def capacity(self) -> float:
        """Load that the ready pods carry."""
        return self._pods.ready * self._target
