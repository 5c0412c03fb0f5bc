"""grpc.health.v1: whether calls can be answered here, which ends when draining begins.

The servicer of grpcio-health-checking never ends its Watch streams: each would hold up a drain for all of its
grace.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from grpc import aio

    from scaler.keda.calls import Calls

__all__ = ["Health"]


class Health(health_pb2_grpc.HealthServicer):
    """Says SERVING until `end` is called, NOT_SERVING from then on.

    Args:
        services: Full names of the services that it speaks for, besides "" for the server as a whole.
        calls: Says who may ask.
    """

    def __init__(self, services: Iterable[str], *, calls: Calls) -> None:
        self._calls = calls
        self._services = frozenset(("", *services))
        self._ended = asyncio.Event()

    def end(self) -> None:
        """NOT_SERVING from now on; Watch streams are told so and end."""
        self._ended.set()

    async def Check(self, request: HealthCheckRequest, context: aio.ServicerContext[Any, Any]) -> HealthCheckResponse:
        """The status now; NOT_FOUND for a service that is none of ours."""
        await self._calls.check(context)
        if request.service not in self._services:
            known = ", ".join(repr(service) for service in sorted(self._services))
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no such service here; there are {known}")
        return self._status(request.service)

    async def Watch(
        self, request: HealthCheckRequest, context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[HealthCheckResponse]:
        """The status now and when it changes. A service that is none of ours is SERVICE_UNKNOWN for ever."""
        await self._calls.check(context)
        first = self._status(request.service)
        yield first
        await self._ended.wait()
        last = self._status(request.service)
        if last != first:
            yield last

    def _status(self, service: str) -> HealthCheckResponse:
        if service not in self._services:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        if self._ended.is_set():
            return HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)
        return HealthCheckResponse(status=HealthCheckResponse.SERVING)
