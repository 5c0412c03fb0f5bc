"""`foresail serve` with TLS on both ports, as cert-manager leaves it: certificates change while it runs."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest

from scaler.keda.client import KedaClient, ref
from tests.support.authority import Authority, Pair
from tests.support.server import PATIENCE, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METADATA = {"serverAddress": "http://unused:1", "query": "up", "threshold": "-1"}  # refused, and by this server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    files = {f"tls_{name}": str(tmp_path / f"{name}.pem") for name in ("cert", "key", "client_ca")}
    one = Server(tmp_path, "http://unused:1", **files, tls_grpc_clients="keda.svc", tls_http_clients="prometheus.svc")
    yield one
    one.kill()


async def served(server: Server, authority: Authority) -> tuple[grpc.StatusCode, int]:
    """What KEDA and Prometheus get, who trust this authority and have its certificates."""
    keda, prometheus = authority.issue("DNS:keda.svc"), authority.issue("DNS:prometheus.svc")
    credentials = grpc.ssl_channel_credentials(
        authority.cert.read_bytes(), keda.key.read_bytes(), keda.cert.read_bytes()
    )
    async with KedaClient(server.grpc, credentials=credentials) as client:
        reading = await client.poll(ref(METADATA))
    tls = ssl.create_default_context(cafile=authority.cert)
    tls.load_cert_chain(prometheus.cert, prometheus.key)
    async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=PATIENCE) as session:
        try:
            page = await session.get(server.http.replace("http:", "https:") + "/metrics")
        except httpx.TransportError:
            return reading.code, 0
    return reading.code, page.status_code


async def test_certificates_change_while_it_runs(server: Server, tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    in_use = Pair(tmp_path / "cert.pem", tmp_path / "key.pem")
    refused = (grpc.StatusCode.UNAVAILABLE, 0)
    answered = (grpc.StatusCode.INVALID_ARGUMENT, 200)
    for authority, other in ((ours, theirs), (theirs, ours)):
        in_use.replace(authority.issue("IP:127.0.0.1"))
        (tmp_path / "client_ca.pem").write_bytes(authority.cert.read_bytes())
        if not server.grpc:
            await server.start()
        assert await served(server, authority) == answered
        assert await served(server, other) == refused
    assert server.terminate() == 0
    assert [line["event"] for line in server.lines() if line["event"].startswith("tls.")][-1] == "tls.reloaded"
