"""Secrets and certificates of a source, and a reader's token, replaced under a running server, as a Secret is."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from scaler.keda.client import KedaClient, ref
from scaler.tls.material import subject_names
from tests.support.authority import Authority, Pair
from tests.support.mounted import Mounted
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


class Source:
    """A Prometheus behind TLS that says who asked last: by which certificate, with which password."""

    def __init__(self, authorities: tuple[Authority, Authority]) -> None:
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.verify_mode = ssl.CERT_REQUIRED
        for authority in authorities:
            self.tls.load_verify_locations(authority.cert)
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    def show(self, pair: Pair) -> None:
        """From now on new connections see this certificate."""
        self.tls.load_cert_chain(pair.cert, pair.key)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        (name,) = subject_names(request.transport.get_extra_info("peercert"))
        scheme, _, credentials = request.headers["Authorization"].partition(" ")
        assert scheme == "Basic"
        self.asked.append((name, base64.b64decode(credentials).decode()))
        now = time.time()
        if request.path.endswith("query_range"):
            return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": []}})
        return web.json_response({"status": "success", "data": {"resultType": "scalar", "result": [now, "5"]}})


@pytest.fixture
def authorities(tmp_path: Path) -> tuple[Authority, Authority]:
    return Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")


@pytest.fixture
async def source(authorities: tuple[Authority, Authority]) -> AsyncIterator[Source]:
    one = Source(authorities)
    one.show(authorities[0].issue("IP:127.0.0.1"))
    runner = web.ServerRunner(web.Server(one.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=one.tls).start()
    one.port = runner.addresses[0][1]
    yield one
    await runner.cleanup()


@pytest.fixture
def secret(tmp_path: Path) -> Mounted:
    root = tmp_path / "secret"
    root.mkdir()
    return Mounted(root)


def put(secret: Mounted, authority: Authority, name: str, password: str, token: str) -> None:
    pair = authority.issue(f"DNS:{name}")
    texts = {"ca": authority.cert.read_text(), "cert": pair.cert.read_text(), "key": pair.key.read_text()}
    secret.put(**texts, password=password, token=token)


@pytest.fixture
def server(tmp_path: Path, source: Source, secret: Mounted) -> Iterator[Server]:
    one = Server(tmp_path, "http://unused:1", observe_interval="1s")
    files = "\n".join(f'{name}_file = "{secret.root / name}"' for name in ("ca", "cert", "key", "password"))
    one.environment = {"USER_OF_MAIN": "ada"}
    one.more_settings = f"""
[sources.main]
address = "https://127.0.0.1:{source.port}"
auth_modes = ["basic", "tls"]
username_env = "USER_OF_MAIN"
{files}

[readers.ops]
namespaces = ["*"]
token_file = "{secret.root / "token"}"
"""
    yield one
    one.kill()


async def test_what_is_replaced_is_used_within_seconds_and_no_call_fails(
    server: Server, source: Source, secret: Mounted, authorities: tuple[Authority, Authority]
) -> None:
    ours, theirs = authorities
    put(secret, ours, "before", "password-before", "the-token-of-before")
    await server.start()
    metadata: dict[str, Any] = {"source": "main", "query": "load", "threshold": "10", "forecaster": "naive"}

    async def page(token: str) -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            headers = {"Authorization": f"Bearer {token}"}
            return (await client.get(f"{server.http}/api/v1/triggers", headers=headers)).status_code

    async with KedaClient(server.grpc) as keda:

        async def is_used(asked: tuple[str, str], new: str, old: str) -> bool:
            reading = await keda.poll(ref(metadata))
            assert reading.ok, reading.text
            return source.asked[-1] == asked and (await page(new), await page(old)) == (200, 401)

        await until(
            lambda: is_used(("before", "ada:password-before"), "the-token-of-before", "the-token-of-after"),
            lambda: f"not asked: {source.asked[-1:]} {server.log.read_text()[-2000:]}",
        )
        # the source's own certificate changes with its clients' authority, as when a mesh gets a new root
        put(secret, theirs, "after", "password-after", "the-token-of-after")
        await asyncio.to_thread(source.show, theirs.issue("IP:127.0.0.1"))
        await until(
            lambda: is_used(("after", "ada:password-after"), "the-token-of-after", "the-token-of-before"),
            lambda: f"not taken up: {source.asked[-1:]} {server.log.read_text()[-2000:]}",
        )
    assert server.terminate() == 0
    renewed = {line["owner"] for line in server.lines() if line["event"] == "secret.renewed"}
    assert renewed == {"source 'main'", "reader 'ops'"}
    assert "password-" not in server.log.read_text()
    assert "the-token-of" not in server.log.read_text()
