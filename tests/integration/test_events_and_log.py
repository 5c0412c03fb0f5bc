"""An announced event through the whole server, and the log of what it changed: a real Prometheus, KEDA's calls."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from scaler.keda.client import KedaClient, ref
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOAD = 40.0


@pytest.fixture
def prometheus(prometheus_server: Any) -> Any:
    now = int(time.time()) // 60 * 60
    return prometheus_server([("load", {}, [(now - 60 * n, LOAD) for n in range(60, -1, -1)])])


@pytest.fixture
def server(tmp_path: Path, prometheus: Any) -> Iterator[Server]:
    one = Server(tmp_path, prometheus.url)
    yield one
    one.kill()


def log_of(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.get("/api/v1/triggers/shop/web/decisions?since=1h"))["decisions"]
    return found


async def test_an_announced_event_is_served_explained_logged_and_remembered(server: Server, prometheus: Any) -> None:
    begun = datetime.fromtimestamp(time.time() - 600.0, UTC)
    server.more_settings = (
        f'[[events]]\nname = "sale"\nat = {begun.isoformat()}\nfor = "2h"\nfloor = 500\nnamespaces = ["shop"]\n'
    )
    metadata = {
        "scalerAddress": "foresail.foresail:6000",
        "serverAddress": prometheus.url,
        "query": "sum(load)",
        "threshold": "10",
        "events": f"launch: at {begun.isoformat()} for 2h floor 300",
    }
    await server.start()
    async with KedaClient(server.grpc) as client:
        reading = await client.poll(ref(metadata))
    assert (reading.value, reading.active) == (500.0, True)

    explained = server.explain()
    assert (explained["event"]["name"], explained["event"]["asks"], explained["event"]["used"]) == ("sale", 500.0, True)
    assert explained["reason"].startswith("serving 500: at least 500 by event 'sale', until ")

    first, *_ = log_of(server)
    assert (first["served"], first["source"], first["event"], first["observed"]) == (500.0, "event", "sale", LOAD)
    assert first["reason"].startswith("serving 500: at least 500 by event 'sale', until ")

    assert server.terminate() == 0
    server.more_settings = ""
    await server.start()
    async with KedaClient(server.grpc) as client:
        # a change within seconds of the one before is noted with the next call
        async def logged_without_the_sale() -> bool:
            await client.poll(ref(metadata))
            return bool(log_of(server)[-1]["served"] == 300.0)

        await until(logged_without_the_sale, lambda: server.log.read_text()[-3000:])
    assert log_of(server)[0]["served"] == 500.0  # of the server before
