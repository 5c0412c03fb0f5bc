"""A fleet whose true load at every second is known, and what must hold of every answer about it."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from grpc import aio

from scaler.keda.client import ref
from scaler.pb.externalscaler_pb2 import GetMetricsRequest
from tests.support.defaults import HEADROOM

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.keda.client import KedaClient
    from tests.support.faulty_proxy import FaultyProxy
    from tests.support.server import Server

__all__ = ["LANES", "MAX_AGE", "Invariants", "Workload", "fleet"]

LANES = 8
MAX_AGE = 15.0  # the setting observed_max_age
SLOWEST = 15.0  # seconds for a call: our own deadline is 2.5, the rest is for a machine that does other work, too
_CLOCK = 1.5  # seconds: queries are for whole seconds, and an age is told a moment after it was taken
_FORECASTERS = ("naive", "seasonal-naive", "seasonal-profile")


@dataclass(frozen=True)
class Workload:
    """One trigger; `load` is what its query gives at a whole second.

    Every fourth flips between 50 and 150 each second and is only observed: its value tells which activity belongs
    to it, so answers from two decisions show.
    """

    number: int

    @property
    def flips(self) -> bool:
        return self.number % 4 == 0

    @property
    def lane(self) -> str:
        return f"lane-{self.number % LANES}"

    @property
    def name(self) -> str:
        return f"web-{self.number}"

    @property
    def period(self) -> int:
        return 20 + 7 * self.number

    def load(self, second: int) -> float:
        if self.flips:
            return 50.0 + 100.0 * (second % 2)
        return 100.0 + 50.0 * math.sin(second / self.period)

    def trigger(self, proxy: FaultyProxy) -> Any:
        wave = f"100 + 50 * sin(vector(time()) / {self.period})"
        return ref(
            {
                "serverAddress": proxy.address(self.lane),
                "query": "50 + 100 * (vector(time()) % 2)" if self.flips else wave,
                "threshold": "10",
                "activationThreshold": "100",
                "mode": "observe" if self.flips else "active",
                "forecaster": _FORECASTERS[self.number % 3],
                "queryStep": "15s",
                "historyTimeWindow": "1h",
                "timeout": "2s",
            },
            namespace="soak",
            name=self.name,
        )


def fleet(size: int) -> list[Workload]:
    return [Workload(number) for number in range(size)]


@dataclass
class Invariants:
    """Polls as KEDA does, and checks every answer.

    Attributes:
        answers: Calls answered, by method and status.
        checked: Explanations whose value and age were held against the true load.
        violations: What did not hold, in words.
    """

    server: Server
    keda: KedaClient
    proxy: FaultyProxy
    answers: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    slowest: float = 0.0
    violations: list[str] = field(default_factory=list)

    async def poll(self, one: Workload) -> bool:
        """One cycle of KEDA's polling loop; whether it gave a value."""
        trigger = one.trigger(self.proxy)
        spec = await self._call("GetMetricSpec", one, lambda: self.keda.stub.GetMetricSpec(trigger))
        if spec is None:
            self._wrong(one, "the spec is not answered")
            return False
        request = GetMetricsRequest(scaledObjectRef=trigger, metricName=spec.metricSpecs[0].metricName)
        metrics = await self._call("GetMetrics", one, lambda: self.keda.stub.GetMetrics(request))
        activity = await self._call("IsActive", one, lambda: self.keda.stub.IsActive(trigger))
        if metrics is None or activity is None:
            if (metrics is None) != (activity is None):
                self.answers["one of a pair failed"] += 1  # the value became too old, or was known again, in between
            return False
        if len(metrics.metricValues) != 1:
            self._wrong(one, f"{len(metrics.metricValues)} values")
            return False
        (value,) = metrics.metricValues
        self._look_at(one, value.metricValueFloat, value.metricValue, active=activity.result)
        return True

    async def _call(self, method: str, one: Workload, call: Callable[[], Any]) -> Any:
        began = time.monotonic()
        try:
            answer = await call()
        except aio.AioRpcError as error:
            self.answers[f"{method} {error.code().name}"] += 1
            if error.code() is not grpc.StatusCode.UNAVAILABLE or not (error.details() or "").startswith("the load is"):
                self._wrong(one, f"{method}: {error.code().name} {error.details()}")
            answer = None
        else:
            self.answers[f"{method} OK"] += 1
        took = time.monotonic() - began
        self.slowest = max(self.slowest, took)
        if took > SLOWEST:
            self._wrong(one, f"{method} took {took:.1f} s")
        return answer

    def _look_at(self, one: Workload, value: float, whole: int, *, active: bool) -> None:
        now = time.time()
        if not math.isfinite(value) or value < 0.0:
            self._wrong(one, f"the value is {value}")
            return
        if whole != math.ceil(value):
            self._wrong(one, f"the value is {value} for KEDA today, {whole} for an old one")
        recent = [one.load(second) for second in range(math.floor(now - MAX_AGE - _CLOCK), math.ceil(now) + 1)]
        if one.flips:  # observe mode: the value is the observed load, and the activity is its own
            if value not in {50.0, 150.0} or active != (value == 150.0):
                self._wrong(one, f"{value} with active {active}")
            return
        if value < HEADROOM * min(recent) - 1e-9:
            self._wrong(one, f"{value} is below {HEADROOM} x any load of the last {MAX_AGE:g} s, {min(recent)}")
        if value > 2.0 * 150.0:
            self._wrong(one, f"{value} is above maxFactor x the highest load")
        if active != (value > 101.0) and not (not active and value <= HEADROOM * 100.0):
            self._wrong(one, f"{value} with active {active}")

    def explain(self, one: Workload) -> bool:
        """Holds the observed value and its age, as they are told, against the true load; whether there is a value."""
        answer = self.server.get(f"/api/v1/triggers/soak/{one.name}/explain")
        now = time.time()
        (told,) = json.loads(answer)["triggers"]
        if told["served"] is None:
            return False
        observed = told["observed"]
        at = now - observed["age"]
        seconds = range(math.floor(at - _CLOCK), math.ceil(at + _CLOCK) + 1)
        if not any(math.isclose(observed["value"], one.load(second), rel_tol=1e-9) for second in seconds):
            self._wrong(one, f"{observed['value']} is told to be {observed['age']:.1f} s old; no load then was that")
        if observed["age"] > MAX_AGE:
            self._wrong(one, f"a value {observed['age']:.1f} s old is served")
        if told["mode"] == "active" and told["served"] < observed["floor"] - 1e-9:
            self._wrong(one, f"{told['served']} is served, less than {HEADROOM} x observed")
        self.checked += 1
        return True

    def _wrong(self, one: Workload, text: str) -> None:
        self.violations.append(f"{one.name}: {text}")
