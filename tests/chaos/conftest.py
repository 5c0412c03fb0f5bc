"""What the chaos tests share: a Prometheus that knows every moment's load, and the server as users start it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

# the fixture that starts a real Prometheus
from tests.integration.conftest import prometheus_server as prometheus_server  # noqa: PLC0414  # found by its name here
from tests.support.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def prometheus(prometheus_server: Any) -> Any:
    """Queries are functions of time, such as `vector(42)`: no scrape has to land, and every past is known."""
    return prometheus_server()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A factory of servers, each in a directory of its own; all are killed with the test."""
    servers: list[Server] = []

    def make(allow: str, **settings: str) -> Server:
        directory = tmp_path / f"server-{len(servers)}"
        directory.mkdir(exist_ok=True)
        server = Server(directory, f"http://{allow}", **settings)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.kill()
