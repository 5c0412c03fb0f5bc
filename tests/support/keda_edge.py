"""A gRPC edge on a free port of this machine, with any desk behind it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaler.keda.server import KedaServer, Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import grpc

    from scaler.keda.desk import Desk

__all__ = ["Edge", "eventually", "running_edge"]


@dataclass(frozen=True)
class Edge:
    """A running server and what its observer was told: method, status, seconds."""

    server: KedaServer
    calls: list[tuple[str, grpc.StatusCode, float]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def methods(self) -> list[str]:
        """The calls so far, in the order in which they ended."""
        return [method for method, _, _ in self.calls]

    @property
    def codes(self) -> list[grpc.StatusCode]:
        """How the calls so far ended."""
        return [code for _, code, _ in self.calls]


@asynccontextmanager
async def running_edge(
    desk: Desk,
    *,
    address: str = "127.0.0.1:0",
    limits: Limits | None = None,
    credentials: grpc.ServerCredentials | None = None,
    admit: Callable[[Mapping[str, Any]], None] | None = None,
) -> AsyncIterator[Edge]:
    """Serves until the block ends, then drops whatever is still open."""
    calls: list[tuple[str, grpc.StatusCode, float]] = []
    server = KedaServer(
        desk,
        address=address,
        observer=lambda method, code, seconds: calls.append((method, code, seconds)),
        limits=limits or Limits(stream_rest=0.0),
        credentials=credentials,
        admit=admit,
    )
    await server.start()
    try:
        yield Edge(server, calls)
    finally:
        await server.drain(grace=0.0)


async def eventually(condition: Callable[[], bool]) -> None:
    """Lets the event loop run until the condition holds; the test's own timeout bounds it."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in gRPC's core, which offers no event
        await asyncio.sleep(0.001)
