"""Secrets go in by every way there is; nothing that the running server puts out may hold one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from scaler.keda.client import KedaClient, ref
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARIES = [f"canary-{n}-9f2c71d04b" for n in range(7)]
TOKEN, PASSWORD, CUSTOM, HEADER, PARAMETER, FILE, VARIABLE = CANARIES


@pytest.fixture
def server(tmp_path: Path, prometheus_server: Any) -> Iterator[Server]:
    prometheus = prometheus_server()
    (tmp_path / "token").write_text(FILE)
    one = Server(tmp_path, prometheus.url, log_level="debug")
    one.environment = {"MAIN_USERNAME": "reader", "MAIN_PASSWORD": VARIABLE}
    one.more_settings = f"""
[sources.bearer]
kind = "prometheus"
address = "{prometheus.url}"
auth_modes = ["bearer"]
bearer_token_file = "{tmp_path / "token"}"

[sources.basic]
kind = "prometheus"
address = "http://127.0.0.1:9"
auth_modes = ["basic"]
username_env = "MAIN_USERNAME"
password_env = "MAIN_PASSWORD"
"""
    yield one
    one.kill()


async def test_no_secret_leaves_the_server(server: Server, tmp_path: Path) -> None:
    common = {"query": "vector(5)", "threshold": "10", "forecaster": "naive"}
    address = {"serverAddress": server.prometheus}
    triggers = {
        "bearer": common | address | {"authModes": "bearer", "bearerTokenFromEnv": TOKEN},
        "basic": common | address | {"authModes": "basic", "usernameFromEnv": "reader", "passwordFromEnv": PASSWORD},
        "custom": common
        | address
        | {"authModes": "custom", "customAuthHeaderFromEnv": "X-Key", "customAuthValueFromEnv": CUSTOM},
        "pairs": common | address | {"customHeaders": f"X-Key={HEADER}", "queryParameters": f"key={PARAMETER}"},
        "named": common | {"source": "bearer"},
        "unreachable": common | {"source": "basic"},
        "wrong-query": common | address | {"query": "sum(", "authModes": "bearer", "bearerTokenFromEnv": TOKEN},
        "invalid": common | address | {"threshold": "-1", "bearerTokenFromEnv": TOKEN, "passwordFromEnv": PASSWORD},
    }
    await server.start()
    put_out: list[str] = []
    async with KedaClient(server.grpc) as keda:
        for name, metadata in triggers.items():
            reading = await keda.poll(ref(metadata, name=name))
            put_out.append(reading.text)
            expected = {"wrong-query", "unreachable", "invalid"}
            assert (reading.code is grpc.StatusCode.OK) == (name not in expected), f"{name}: {reading.text}"

    async def counted() -> bool:
        return "foresail_source_errors_total" in server.get("/metrics")

    await until(counted, lambda: "the engine's metrics never came")
    put_out += [server.get(path) for path in ("/metrics", "/api/v1/triggers", "/readyz", "/")]
    put_out += [server.get(f"/api/v1/triggers/shop/{name}/explain") for name in triggers if name != "invalid"]
    server.terminate()
    put_out.append(server.log.read_text())
    put_out += [path.read_bytes().decode("latin-1") for path in (tmp_path / "data").iterdir()]
    assert len("".join(put_out)) > 10_000
    for canary in CANARIES:
        assert not [text for text in put_out if canary in text], canary
