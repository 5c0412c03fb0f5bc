"""KEDA's side of the conversation: its calls, in its order, over a real channel, read as it reads the answers.

The model is KEDA 2.20: the poll and the HPA path, a failed step repeated once and at once, `round_robin`, no
keep-alive, no deadline when polling. `reads_floats=False` is KEDA before 2.17. Used by `foresail demo`, `foresail
doctor` and the tests.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
from grpc import aio

from scaler.errors import ForesailError
from scaler.pb.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from scaler.pb.externalscaler_pb2_grpc import ExternalScalerStub

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from scaler.pb.externalscaler_pb2 import GetMetricSpecResponse, IsActiveResponse, MetricSpec, MetricValue

__all__ = ["ContractBroken", "KedaClient", "Reading", "ScaledObjectRef", "ref"]

_T = TypeVar("_T")

_HPA_DEADLINE = 60.0  # seconds, for all calls of one HPA request together
_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


def ref(metadata: Mapping[str, str], *, namespace: str = "shop", name: str = "web") -> ScaledObjectRef:
    """One trigger as KEDA tells of it."""
    return ScaledObjectRef(namespace=namespace, name=name, scalerMetadata=metadata)


class ContractBroken(ForesailError):
    """The server answered what KEDA would misread: worse than an error, and a bug of ours."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What KEDA makes of one metric in one cycle: either all of the first four, or an error.

    Attributes:
        metric: The metric's name.
        target: Load per pod; what the HPA divides by.
        value: Load, summed over the values that came.
        active: Whether the trigger keeps the workload awake.
        code: The status that the cycle failed with; OK if it did not.
        text: The failure's text.
    """

    metric: str = ""
    target: float = math.nan
    value: float = math.nan
    active: bool | None = None
    code: grpc.StatusCode = grpc.StatusCode.OK
    text: str = ""

    @property
    def ok(self) -> bool:
        """Whether the cycle gave a value."""
        return self.code is grpc.StatusCode.OK

    @property
    def replicas(self) -> int:
        """What the HPA asks for (AverageValue), in its thousandths and before its limits."""
        return math.ceil(int(self.value * 1000) / int(self.target * 1000))


class KedaClient:
    """One channel, as KEDA keeps one for all triggers of an address. Use it as an async context manager."""

    def __init__(
        self, target: str, *, credentials: grpc.ChannelCredentials | None = None, reads_floats: bool = True
    ) -> None:
        options = [("grpc.service_config", _SERVICE_CONFIG), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = (
            aio.insecure_channel(target, options=options)
            if credentials is None
            else aio.secure_channel(target, credentials, options=options)
        )
        self.stub = ExternalScalerStub(self.channel)
        self._reads_floats = reads_floats

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    async def poll(self, trigger: ScaledObjectRef) -> Reading:
        """The polling loop's cycle for one trigger: its spec, then GetMetrics and IsActive. No deadline."""
        try:
            spec = await _twice(lambda: self._spec(trigger, None))
            return await _twice(lambda: self._pair(trigger, spec, None))
        except aio.AioRpcError as error:
            return _failed(error)

    async def sync(self, triggers: Sequence[ScaledObjectRef]) -> list[Reading]:
        """One HPA sync of a ScaledObject: for each metric, the specs of all its triggers, then the metric's pair.

        A trigger whose spec fails makes every metric of the ScaledObject fail, as in KEDA.
        """
        return [await self._request(triggers, index) for index in range(len(triggers))]

    async def specs_only(self, triggers: Sequence[ScaledObjectRef]) -> list[MetricSpec]:
        """The HPA path with `useCachedMetrics`: specs and nothing else."""
        return await self._specs(triggers, _in(_HPA_DEADLINE))

    def push(self, trigger: ScaledObjectRef) -> aio.UnaryStreamCall[ScaledObjectRef, IsActiveResponse]:
        """Opens StreamIsActive."""
        return self.stub.StreamIsActive(trigger)

    def push_specs(self, trigger: ScaledObjectRef) -> aio.UnaryStreamCall[ScaledObjectRef, GetMetricSpecResponse]:
        """Opens StreamMetricSpec."""
        return self.stub.StreamMetricSpec(trigger)

    async def _request(self, triggers: Sequence[ScaledObjectRef], index: int) -> Reading:
        until = _in(_HPA_DEADLINE)
        try:
            specs = await self._specs(triggers, until)
            return await _twice(lambda: self._pair(triggers[index], specs[index], until))
        except aio.AioRpcError as error:
            return _failed(error)

    async def _specs(self, triggers: Sequence[ScaledObjectRef], until: float) -> list[MetricSpec]:
        return [await _twice(functools.partial(self._spec, trigger, until)) for trigger in triggers]

    async def _spec(self, trigger: ScaledObjectRef, until: float | None) -> MetricSpec:
        response = await self.stub.GetMetricSpec(trigger, timeout=_left(until))
        if len(response.metricSpecs) != 1:
            raise ContractBroken(
                f"{len(response.metricSpecs)} metric specs: an empty list silently removes the trigger"
            )
        return response.metricSpecs[0]

    async def _pair(self, trigger: ScaledObjectRef, spec: MetricSpec, until: float | None) -> Reading:
        request = GetMetricsRequest(scaledObjectRef=trigger, metricName=spec.metricName)
        response = await self.stub.GetMetrics(request, timeout=_left(until))
        if len(response.metricValues) != 1:
            count = len(response.metricValues)
            raise ContractBroken(f"{count} metric values: none resets the fallback counter, several are summed")
        active = await self.stub.IsActive(trigger, timeout=_left(until))
        return Reading(
            metric=spec.metricName,
            target=self._target(spec),
            value=self._value(response.metricValues[0]),
            active=active.result,
        )

    def _target(self, spec: MetricSpec) -> float:
        if self._reads_floats and spec.targetSizeFloat > 0:
            return spec.targetSizeFloat
        return float(spec.targetSize)

    def _value(self, metric: MetricValue) -> float:
        if not math.isfinite(metric.metricValueFloat) or metric.metricValueFloat < 0:
            raise ContractBroken(f"the value {metric.metricValueFloat}: KEDA would make it 0")
        if self._reads_floats and metric.metricValueFloat > 0:
            return metric.metricValueFloat
        return float(metric.metricValue)


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _left(until: float | None) -> float | None:
    return None if until is None else until - asyncio.get_running_loop().time()


async def _twice(step: Callable[[], Awaitable[_T]]) -> _T:
    """A failed step is repeated once, at once."""
    try:
        return await step()
    except aio.AioRpcError:
        return await step()


def _failed(error: aio.AioRpcError) -> Reading:
    return Reading(code=error.code(), text=error.details() or "")
