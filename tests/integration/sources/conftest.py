from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from scaler.sources.address import AddressPolicy
from scaler.sources.factory import SourcePool
from scaler.sources.fetch import RetryPolicy

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable


class FaultyServer:
    """An HTTP server on 127.0.0.1 that does what the test tells it to, and counts."""

    def __init__(self) -> None:
        self.requests: list[web.BaseRequest] = []
        self._runners: list[web.ServerRunner] = []

    async def start(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], tls: ssl.SSLContext | None = None
    ) -> int:
        """Serves; returns the port."""

        async def counted(request: web.BaseRequest) -> web.StreamResponse:
            self.requests.append(request)
            return await handler(request)

        runner = web.ServerRunner(web.Server(counted), shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyServer]:
    server = FaultyServer()
    yield server
    await server.close()


@pytest.fixture
async def pool() -> AsyncIterator[SourcePool]:
    """Sources that may reach 127.0.0.1 and try twice, with waits too short to notice."""
    pool = SourcePool(
        policy=AddressPolicy.parse(["127.0.0.1"]), max_bytes=100_000, retry=RetryPolicy(attempts=2, base=0.001)
    )
    yield pool
    await pool.close()
