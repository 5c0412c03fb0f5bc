"""Loads that are odd in themselves: a counter that begins anew with its process, a query that gives what is no load."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from aiohttp import web

from scaler.keda.client import KedaClient, Reading, ref
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.chaos

RATE = 50.0  # requests a second
LONG_AGO = 1e6  # seconds that the target seems to have counted for when it is first scraped


class Target:
    """A process that counts its requests, and begins at 0 when it is started."""

    def __init__(self) -> None:
        self.started = time.monotonic() - LONG_AGO
        self.restarts = self.scrapes = 0  # scrapes: since it was started
        self.port = 0

    def restart(self) -> None:
        self.started = time.monotonic()
        self.restarts += 1
        self.scrapes = 0

    async def page(self, _: web.Request) -> web.Response:
        self.scrapes += 1
        count = RATE * (time.monotonic() - self.started)
        return web.Response(text=f"# TYPE requests_total counter\nrequests_total {count}\n")


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    one = Target()
    app = web.Application()
    app.router.add_get("/metrics", one.page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    yield one
    await runner.cleanup()


async def test_a_counter_that_begins_anew_is_no_load_of_millions_and_none_below_zero(
    target: Target, make_server: Callable[..., Server]
) -> None:
    server = make_server("unused:1", observe_interval="1s")
    server.more_settings = f"""
[sources.app]
kind = "exposition"
address = "http://127.0.0.1:{target.port}/metrics"
"""
    await server.start()
    trigger = ref({"source": "app", "query": "requests_total", "threshold": "10", "mode": "observe"})
    readings: list[Reading] = []
    async with KedaClient(server.grpc) as keda:

        async def rises(to: float) -> bool:
            readings.append(await keda.poll(trigger))
            return readings[-1].ok and readings[-1].value > to

        await until(lambda: rises(0.9 * RATE), lambda: f"the rate is never known: {readings[-1:]}")
        readings.clear()
        for _ in range(3):
            target.restart()

            async def scraped() -> bool:
                await rises(0.0)
                return target.scrapes >= 2

            await until(scraped, lambda: f"the target is not scraped any more: {readings[-1:]}")
            await until(lambda: rises(0.9 * RATE), lambda: f"the rate does not come back: {readings[-1:]}")
    assert target.restarts == 3
    assert all(one.ok for one in readings)
    assert all(0.0 <= one.value < 1.5 * RATE for one in readings)


@pytest.mark.parametrize("query", ["vector(-5)", "vector(1e30)"])
async def test_what_is_no_load_is_an_error_at_once_and_heals_with_the_query(
    prometheus: Any, make_server: Callable[..., Server], query: str
) -> None:
    server = make_server(prometheus.url.removeprefix("http://"))
    await server.start()
    metadata = {"serverAddress": prometheus.url, "query": query, "threshold": "10", "mode": "observe"}
    async with KedaClient(server.grpc) as keda:
        reading = await keda.poll(ref(metadata))
        assert reading.code is grpc.StatusCode.FAILED_PRECONDITION, reading.text
        reading = await keda.poll(ref({**metadata, "query": "vector(5)"}))
        assert (reading.ok, reading.value) == (True, 5.0), reading.text
