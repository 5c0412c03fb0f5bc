"""A policy on the past: what the HPA would have made of the values served, and what that would have cost.

Closed loop on a grid of HPA syncs, 15 s apart: at each the policy's value is known, KEDA polls if it is due, the HPA
decides, pods start and stop, and the load until the next sync meets the pods that are ready.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaler.replay.hpa import SYNC_PERIOD, Autoscaler, HpaSpec, Limit, Verdict
from scaler.replay.keda import Keda, ScaledObjectSpec
from scaler.replay.pods import Pods
from scaler.replay.proposal import Metric
from scaler.replay.quantity import milli

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecasting.series import FloatArray
    from scaler.replay.behavior import Behavior
    from scaler.replay.demand import Demand
    from scaler.replay.policies import Served

__all__ = ["Outcome", "Workload", "ideal", "simulate", "sizes_needed"]

_LIMITED: dict[Limit | None, str] = {limit: str(limit.value) for limit in Limit if limit is not Limit.NONE}
_NEVER_ASLEEP = ScaledObjectSpec(min_replicas=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is scaled, and how Kubernetes is told to scale it.

    Attributes:
        target: Load that one pod carries; the HPA's AverageValue target and, times ready pods, the capacity.
        pod_startup: Seconds from a pod's creation to its first work; several: as observed, taken in turn.
        scaled_object: KEDA's side. With a minimum of 0 or an idle size the workload sleeps and wakes.
        max_replicas: The HPA's maximum.
        behavior: The HPA's `behavior`; None as KEDA creates HPAs by default.
    """

    target: float
    pod_startup: tuple[float, ...] = (180.0,)
    scaled_object: ScaledObjectSpec = _NEVER_ASLEEP
    max_replicas: int = 1_000_000
    behavior: Behavior | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What happened, per sync; all arrays of shape (syncs,), each holding from its sync to the next.

    Attributes:
        demand: The load it was run on.
        capacity: Load that the ready pods carry.
        desired: Pods asked for; they cost from here on.
        ready: Pods that serve.
        reasons: What the HPA did to the proposal: "" or e.g. "stabilised", "ScaleUpLimit".
        oracle: Pods that an oracle holds, which knows the load and waits for no start-up.
    """

    demand: Demand
    capacity: FloatArray
    desired: NDArray[np.int64]
    ready: NDArray[np.int64]
    reasons: tuple[str, ...]
    oracle: NDArray[np.int64]

    @property
    def shortfall(self) -> FloatArray:
        """Load that found no ready pod; 0 where the load is not known."""
        return np.maximum(0.0, np.nan_to_num(self.demand.load) - self.capacity)

    @property
    def under_provisioned_load(self) -> float:
        """The part of the load that found no ready pod; what a query gives below 0 is no load."""
        total = float(np.nansum(np.maximum(self.demand.load, 0.0)))
        return float(self.shortfall.sum()) / total if total else 0.0

    @property
    def under_provisioned_time(self) -> float:
        """The part of the time in which the load was above the capacity."""
        return float(np.count_nonzero(self.shortfall)) / len(self.shortfall)

    @property
    def pod_hours(self) -> float:
        """Cost: pods times hours, from their creation."""
        return float(self.desired.sum()) * SYNC_PERIOD / 3600

    @property
    def oracle_pod_hours(self) -> float:
        """The oracle's cost."""
        return float(self.oracle.sum()) * SYNC_PERIOD / 3600

    @property
    def cost_ratio(self) -> float:
        """Cost in units of the oracle's."""
        return self.pod_hours / self.oracle_pod_hours

    @property
    def scale_events(self) -> int:
        """How often the size was changed."""
        return int(np.count_nonzero(np.diff(self.desired)))


def sizes_needed(load: FloatArray, workload: Workload) -> NDArray[np.int64]:
    """Pods that carry each load, at least one; as many as the last known load needs where it is not known."""
    known = ~np.isnan(load)
    last = np.maximum.accumulate(np.where(known, np.arange(len(load)), 0))
    return np.maximum(1, np.ceil(np.nan_to_num(load[last]) / workload.target)).astype(np.int64)


def simulate(demand: Demand, served: Served, workload: Workload) -> Outcome:
    """Runs one policy over the whole demand.

    The workload starts with the oracle's pods, all ready. Two runs of the same arguments give the same outcome.
    """
    oracle = sizes_needed(demand.load, workload)
    scaled_object = workload.scaled_object
    hpa = Autoscaler(
        HpaSpec(
            min_replicas=scaled_object.awake,
            max_replicas=workload.max_replicas,
            metrics=(Metric(milli(workload.target)),),
            behavior=workload.behavior,
        )
    )
    startup = tuple(math.ceil(seconds / SYNC_PERIOD) for seconds in workload.pod_startup)
    size = min(max(int(oracle[0]), scaled_object.awake), workload.max_replicas)
    pods = Pods(size, startup)
    keda = Keda(scaled_object) if scaled_object.asleep < scaled_object.awake else None
    poll_at = demand.start
    desired: list[int] = []
    ready: list[int] = []
    reasons: list[str] = []
    activity = served.active.tolist()
    for tick, usage in enumerate(served.in_thousandths()):
        now = demand.start + tick * SYNC_PERIOD
        pods.advance(tick)
        size = existing = pods.total
        if keda is not None and now >= poll_at:
            size = keda.poll(now, (None if usage is None else activity[tick],), size)
            poll_at += scaled_object.polling_interval
        verdict = hpa.sync(now, (usage,), replicas=size, pods=min(existing, size), ready=pods.ready)
        if verdict.replicas != existing:
            pods.resize(tick, verdict.replicas)
        desired.append(pods.total)
        ready.append(pods.ready)
        reasons.append(_reason(verdict))
    ready_pods = np.array(ready, dtype=np.int64)
    return Outcome(
        demand=demand,
        capacity=ready_pods.astype(np.float64) * workload.target,
        desired=np.array(desired, dtype=np.int64),
        ready=ready_pods,
        reasons=tuple(reasons),
        oracle=oracle,
    )


def ideal(demand: Demand, workload: Workload) -> Outcome:
    """The oracle: exactly the pods that the load needs, ready at every moment."""
    oracle = sizes_needed(demand.load, workload)
    return Outcome(
        demand=demand,
        capacity=oracle.astype(np.float64) * workload.target,
        desired=oracle,
        ready=oracle,
        reasons=("",) * len(oracle),
        oracle=oracle,
    )


def _reason(verdict: Verdict) -> str:
    return _LIMITED.get(verdict.limit) or ("stabilised" if verdict.stabilised else "")
