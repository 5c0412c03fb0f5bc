"""gRPC's server reflection: which services are here, for those who may call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpc_reflection.v1alpha import reflection

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable

    from grpc import aio
    from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

    from scaler.keda.calls import Calls

__all__ = ["Reflection"]


class Reflection:
    """Tells of these services, by their full names."""

    def __init__(self, services: Iterable[str], *, calls: Calls) -> None:
        self._all: Any = reflection.aio.ReflectionServicer(service_names=tuple(services))  # its types know no asyncio
        self._calls = calls

    async def ServerReflectionInfo(
        self, request_iterator: AsyncIterable[ServerReflectionRequest], context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[ServerReflectionResponse]:
        """The answers, in the order of the questions."""
        await self._calls.check(context)
        async for answer in self._all.ServerReflectionInfo(request_iterator, context):
            yield answer
