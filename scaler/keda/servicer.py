"""KEDA's five calls, answered from memory."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from scaler.errors import DeadlinePassed, LimitReached
from scaler.keda.encoding import activity, metric_spec, metrics, read
from scaler.pb import externalscaler_pb2
from scaler.pb.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from scaler.pb.externalscaler_pb2_grpc import ExternalScalerServicer
from scaler.words import duration, plural

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from grpc import aio

    from scaler.decision import Decision
    from scaler.keda.calls import Calls
    from scaler.keda.core_call import AtOnce
    from scaler.keda.desk import Desk
    from scaler.keda.streams import Streams
    from scaler.pb.externalscaler_pb2 import (
        GetMetricSpecResponse,
        GetMetricsResponse,
        IsActiveResponse,
    )
    from scaler.trigger import TriggerConfig


__all__ = ["SERVICE", "Servicer"]

SERVICE = externalscaler_pb2.DESCRIPTOR.services_by_name["ExternalScaler"].full_name


class Servicer(ExternalScalerServicer):
    """The gRPC service; its method names are KEDA's.

    Args:
        desk: Where triggers and decisions come from.
        calls: The boundary around each call.
        streams: The open streams.
        deadline: Seconds that a call may take, whatever the client allows: KEDA's polling allows for ever.
        most_waiting: Calls that may wait for their triggers' first values at once. All others take a moment, so
            however many wait, specs and known values are answered.
    """

    def __init__(self, desk: Desk, *, calls: Calls, streams: Streams, deadline: float, most_waiting: int) -> None:
        self._desk = desk
        self._calls = calls
        self._streams = streams
        self._deadline = deadline
        self._most_waiting = most_waiting
        self._waiting = 0
        # by what was sent: reading a map out of a message takes longer than all the rest of an answer. The desk says
        # how long a trigger is known.
        self._known: WeakValueDictionary[bytes, TriggerConfig] = WeakValueDictionary()

    def at_once(self) -> dict[str, AtOnce]:
        """How KEDA's three unary calls are answered without waiting, by their full names."""
        works = {"GetMetricSpec": self._spec_now, "GetMetrics": self._metrics_now, "IsActive": self._activity_now}
        return {f"/{SERVICE}/{method}": partial(self._calls.at_once, method, work) for method, work in works.items()}

    def _spec_now(self, data: bytes) -> GetMetricSpecResponse | None:
        request = read(ScaledObjectRef, data)
        return None if request is None else metric_spec(self._trigger(request))

    def _metrics_now(self, data: bytes) -> GetMetricsResponse | None:
        request = read(GetMetricsRequest, data)
        if request is None:
            return None
        trigger = self._trigger(request.scaledObjectRef)
        decision = self._desk.peek(trigger)
        return None if decision is None else metrics(trigger, decision)

    def _activity_now(self, data: bytes) -> IsActiveResponse | None:
        request = read(ScaledObjectRef, data)
        decision = None if request is None else self._desk.peek(self._trigger(request), follows=True)
        return None if decision is None else activity(decision)

    async def GetMetricSpec(
        self, request: ScaledObjectRef, context: aio.ServicerContext[Any, Any]
    ) -> GetMetricSpecResponse:
        """The trigger's metric and target, from the metadata and nothing else."""
        async with self._calls.boundary("GetMetricSpec", context):
            return metric_spec(self._trigger(request))

    async def GetMetrics(
        self, request: GetMetricsRequest, context: aio.ServicerContext[Any, Any]
    ) -> GetMetricsResponse:
        """The one value to scale for. The metric's name is not looked at: the metadata says all."""
        async with self._calls.boundary("GetMetrics", context):
            ref = request.scaledObjectRef
            trigger = self._trigger(ref)
            return metrics(trigger, await self._decision(trigger, ref, follows=False))

    async def IsActive(self, request: ScaledObjectRef, context: aio.ServicerContext[Any, Any]) -> IsActiveResponse:
        """Whether the workload should run, by the decision that answered the GetMetrics just before."""
        async with self._calls.boundary("IsActive", context):
            return activity(await self._decision(self._trigger(request), request, follows=True))

    async def StreamIsActive(
        self, request: ScaledObjectRef, context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[IsActiveResponse]:
        """`true` each time the workload turns active."""
        async with self._calls.boundary("StreamIsActive", context):
            async for response in self._streams.active(self._trigger(request)):
                yield response

    async def StreamMetricSpec(
        self, request: ScaledObjectRef, context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[GetMetricSpecResponse]:
        """GetMetricSpec's answer, at once."""
        async with self._calls.boundary("StreamMetricSpec", context):
            async for response in self._streams.specs(self._trigger(request)):
                yield response

    def _trigger(self, ref: ScaledObjectRef) -> TriggerConfig:
        content = ref.SerializeToString(deterministic=True)  # clients write a map in any order
        trigger = self._known.get(content)
        if trigger is None:
            trigger = self._known[content] = self._read(ref)
        return trigger

    def _read(self, ref: ScaledObjectRef) -> TriggerConfig:
        return self._desk.trigger(ref.namespace, ref.name, dict(ref.scalerMetadata))

    async def _decision(self, trigger: TriggerConfig, ref: ScaledObjectRef, *, follows: bool) -> Decision:
        decision = self._desk.peek(trigger, follows=follows)
        if decision is not None:
            return decision
        trigger = self._read(ref)  # the desk may have let go of it while a stream held it
        if self._waiting >= self._most_waiting:
            raise LimitReached(
                f"{plural(self._waiting, 'call')} wait for the first values of their triggers, the most that this "
                "server lets wait: ask again in a moment, or raise max_concurrent_rpcs in its settings"
            )
        self._waiting += 1
        try:
            async with asyncio.timeout(self._deadline) as limit:
                return await self._desk.decision(trigger, follows=follows)
        except TimeoutError:
            if limit.expired():
                raise DeadlinePassed(
                    f"no answer within {duration(self._deadline)}, the server's own deadline for a call"
                ) from None
            raise
        finally:
            self._waiting -= 1
