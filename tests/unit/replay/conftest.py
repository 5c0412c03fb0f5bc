"""Recordings of a real HPA behind a real KEDA, and their replay in open loop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from scaler.replay.behavior import parse_behavior
from scaler.replay.hpa import Autoscaler, HpaSpec, Verdict
from scaler.replay.keda import Fallback, FallbackCounter, Keda, ScaledObjectSpec
from scaler.replay.proposal import Metric
from scaler.replay.quantity import milli, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDINGS = Path(__file__).parents[2] / "data" / "hpa"
UNAVAILABLE = "UNAVAILABLE"


class Sync(NamedTuple):
    """A row of a recording's `syncs`, repeats filled in."""

    t: float
    values: list[float | str | None]
    spec: int
    pods: int
    ready: int
    proposed: int | None
    rescaled_to: int | None
    desired: int
    metric: list[str | None]
    reasons: list[str | None]


class Poll(NamedTuple):
    """KEDA's own calls of one poll, the last answer of each trigger."""

    t: float
    values: tuple[float | None, ...]


class Compared(NamedTuple):
    """What was recorded at a sync, and what the arithmetic says."""

    sync: Sync
    verdict: Verdict
    desired: int

    @property
    def same(self) -> bool:
        size = self.sync.spec if self.sync.rescaled_to is None else self.sync.rescaled_to
        limit = self.verdict.limit
        return (
            self.verdict.replicas == size
            and self.desired == self.sync.desired
            and self.verdict.proposed == self.sync.proposed
            and (limit is None or limit.value == str(self.sync.reasons[2]).lstrip("!"))
        )


@dataclass(frozen=True)
class Recording:
    """One file."""

    name: str
    raw: dict[str, Any]

    @cached_property
    def syncs(self) -> list[Sync]:
        rows: list[Sync] = []
        for row in self.raw["syncs"]:
            rows.append(rows[-1]._replace(t=row[0]) if len(row) == 1 else Sync(*row))
        return rows

    @property
    def triggers(self) -> list[dict[str, Any]]:
        triggers: list[dict[str, Any]] = self.raw["scaledobject"]["triggers"]
        return triggers

    @cached_property
    def polls(self) -> list[Poll]:
        """Answers on KEDA's own path, one entry a poll; a failing trigger is asked twice at once."""
        names = [trigger["name"] for trigger in self.triggers]
        polls: list[Poll] = []
        for t, path, value, *trigger in self.raw["answers"]:
            if path != "poll":
                continue
            index = names.index(trigger[0]) if trigger else 0
            if not polls or t > polls[-1].t + 1.0:
                polls.append(Poll(t, (None,) * len(names)))
            values = list(polls[-1].values)
            values[index] = None if value == UNAVAILABLE else value
            polls[-1] = Poll(polls[-1].t, tuple(values))
        return polls

    @property
    def fallback(self) -> Fallback | None:
        spec = self.raw["scaledobject"].get("fallback")
        if spec is None:
            return None
        return Fallback(
            failure_threshold=spec["failureThreshold"], replicas=spec["replicas"], behavior=spec["behavior"]
        )

    @property
    def restarts(self) -> list[float]:
        """When the controller manager was restarted and lost its memory."""
        return [
            t
            for t, kind, what in self.raw.get("actions", [])
            if kind == "kcm_restart" or (kind == "note" and "restarted" in what)
        ]

    def replayed(self, *, forgets: bool = True) -> list[Compared]:
        """Every sync from the recorded time, answers, sizes and ready pods (open loop)."""
        return list(_Replay(self, forgets=forgets).syncs())


class _Replay:
    def __init__(self, recording: Recording, *, forgets: bool) -> None:
        self.recording = recording
        self.forgets = forgets
        self.spec = hpa_spec(recording.raw["hpa_spec"])
        self.hpa = Autoscaler(self.spec)
        self.counters = [
            FallbackCounter(recording.fallback) if recording.fallback else None for _ in recording.triggers
        ]
        self.polled: tuple[float | None, ...] = (None,) * len(recording.triggers)
        self.changes = sorted(
            [
                *((t, spec) for t, spec in recording.raw.get("hpa_spec_changes", [])),
                *((t, "restart") for t in recording.restarts),
            ],
            key=lambda change: change[0],
        )

    def syncs(self) -> Iterator[Compared]:
        desired = 0
        polls = iter([*self.recording.polls, Poll(float("inf"), ())])
        poll = next(polls)
        for sync in self.recording.syncs:
            while poll.t < sync.t:
                self.polled = poll.values
                for index, value in enumerate(poll.values):
                    self._count(index, value, sync)
                poll = next(polls)
            self._apply_changes(sync.t)
            verdict = self.hpa.sync(sync.t, self._usages(sync), replicas=sync.spec, pods=sync.pods, ready=sync.ready)
            desired = desired if verdict.failed else verdict.replicas  # a failed sync leaves the status alone
            yield Compared(sync, verdict, desired)

    def _apply_changes(self, now: float) -> None:
        while self.changes and self.changes[0][0] < now:
            _, change = self.changes.pop(0)
            if change is None or change == "restart":
                if self.forgets:
                    self.hpa = Autoscaler(self.spec)
            else:
                self.spec = hpa_spec(change)
                self.hpa.edit(self.spec)

    def _count(self, index: int, value: float | None, sync: Sync) -> int | None:
        counter = self.counters[index]
        if counter is None:
            return None
        if value is None:
            return counter.failed(sync.spec)
        counter.good()
        return None

    def _usages(self, sync: Sync) -> list[int | None]:
        usages = [self._usage(index, answer, sync) for index, answer in enumerate(sync.values)]
        if "scalingModifiers" in self.recording.raw["scaledobject"].get("advanced", {}):
            return [sum(usage for usage in usages if usage is not None)]  # the one recorded formula is a + b
        return usages

    def _usage(self, index: int, answer: float | str | None, sync: Sync) -> int | None:
        if answer is None:  # no call: the cache of the last poll answers, where there is one
            cached = self.polled[index]
            return None if cached is None else milli(cached)
        if not isinstance(answer, str):
            self._count(index, answer, sync)
            return milli(answer)
        size = self._count(index, None, sync)
        if size is None:
            return None
        metric = self.spec.metrics[index]
        return size * metric.target if metric.per_pod else milli(size / sync.ready * (metric.target / 1000))


def hpa_spec(raw: dict[str, Any]) -> HpaSpec:
    return HpaSpec(
        min_replicas=raw["minReplicas"],
        max_replicas=raw["maxReplicas"],
        metrics=tuple(_metric(metric["external"]["target"]) for metric in raw["metrics"]),
        behavior=parse_behavior(raw["behavior"]) if "behavior" in raw else None,
    )


def _metric(target: dict[str, str]) -> Metric:
    if target["type"] == "AverageValue":
        return Metric(milli(quantity(target["averageValue"])))
    return Metric(milli(quantity(target["value"])), per_pod=False)


def keda_of(recording: Recording) -> Keda:
    spec = recording.raw["scaledobject"]
    return Keda(
        ScaledObjectSpec(
            min_replicas=spec["minReplicaCount"],
            idle_replicas=spec.get("idleReplicaCount"),
            polling_interval=spec["pollingInterval"],
            cooldown_period=spec.get("cooldownPeriod", 300),
        )
    )


@pytest.fixture(scope="session")
def recordings() -> dict[str, Recording]:
    paths = sorted(RECORDINGS.glob("*.json"))
    return {path.stem: Recording(path.stem, json.loads(path.read_text())) for path in paths}


@pytest.fixture(scope="session")
def keda_for() -> Callable[[Recording], Keda]:
    return keda_of
