"""A proxy in front of a real Prometheus that does to its answers what networks, proxies and broken servers do.

Each trigger of a test has a lane of its own, the first part of the path: `http://127.0.0.1:PORT/LANE` is the address
that the trigger names. A lane without a fault passes everything through.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["Answer", "Asked", "Fault", "FaultyProxy", "faulty_proxy"]


@dataclass(frozen=True)
class Answer:
    """What goes back to the server under test."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass
class Asked:
    """One request of the server under test, on its way to Prometheus."""

    request: web.Request
    endpoint: str
    parameters: dict[str, str]
    upstream: str
    client: aiohttp.ClientSession

    async def forward(self) -> Answer:
        """What Prometheus answers."""
        url = f"{self.upstream}/api/v1/{self.endpoint}"
        async with self.client.get(url, params=self.parameters) as reply:
            headers = {name: reply.headers[name] for name in ("Content-Type", "Date") if name in reply.headers}
            return Answer(reply.status, await reply.read(), headers)

    def abort(self) -> None:
        """Resets the connection."""
        if self.request.transport is not None:
            self.request.transport.abort()


class Fault(Protocol):
    """What a lane does; None: it has done all itself."""

    async def __call__(self, asked: Asked) -> Answer | None: ...


class FaultyProxy:
    """The lanes and their faults.

    Attributes:
        faults: Lane -> what it does now; without one it passes everything through.
        asked: Lane -> requests so far.
        injected: Lane -> requests so far that a fault had its way with.
    """

    def __init__(self, upstream: str, client: aiohttp.ClientSession) -> None:
        self._upstream = upstream
        self._client = client
        self.port = 0
        self.faults: dict[str, Fault] = {}
        self.asked: dict[str, int] = {}
        self.injected: dict[str, int] = {}

    @property
    def host(self) -> str:
        """HOST:PORT, for the server's list of allowed addresses."""
        return f"127.0.0.1:{self.port}"

    def address(self, lane: str) -> str:
        """What the trigger of a lane gives as its serverAddress."""
        return f"http://{self.host}/{lane}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        lane = request.match_info["lane"]
        self.asked[lane] = self.asked.get(lane, 0) + 1
        given = {**request.query, **(await request.post() if request.method == "POST" else {})}
        asked = Asked(
            request,
            request.match_info["endpoint"],
            {name: str(value) for name, value in given.items()},
            self._upstream,
            self._client,
        )
        fault = self.faults.get(lane)
        if fault is None:
            answer: Answer | None = await asked.forward()
        else:
            self.injected[lane] = self.injected.get(lane, 0) + 1
            answer = await fault(asked)
        if answer is None:
            return web.Response(status=500)  # nobody reads it
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


@asynccontextmanager
async def faulty_proxy(upstream: str) -> AsyncIterator[FaultyProxy]:
    """Runs in the test's own loop until the block ends; requests that hang are cut off then."""
    async with aiohttp.ClientSession() as client:
        proxy = FaultyProxy(upstream, client)
        app = web.Application()
        app.router.add_route("*", "/{lane}/api/v1/{endpoint}", proxy.handle)
        # a request that hangs ends with the client that gave it up
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.port = runner.addresses[0][1]
        try:
            yield proxy
        finally:
            await runner.cleanup()
