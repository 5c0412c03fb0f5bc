"""Secrets go in by every way there is; nothing that the running server puts out may hold one."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import signal
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from aiohttp import web

from scaler.keda.client import KedaClient, ref
from tests.support.authority import Authority
from tests.support.server import PATIENCE, Server, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CANARIES = [f"canary-{n}-9f2c71d04b" for n in range(12)]
TOKEN, PASSWORD, CUSTOM, HEADER, PARAMETER, FILE, VARIABLE, READER, HEADER_ENV, USER, ECHOED, SOURCE_HEADER = CANARIES


@dataclass
class World:
    """The server, its certificates, and a source that repeats whatever it is told."""

    server: Server
    authority: Authority
    echo: str

    @property
    def key(self) -> list[str]:
        """Lines of the server's private key: each would give a part of it away."""
        (path,) = [Path(text) for name, text in self.server.settings.items() if name == "tls_key"]
        return [line for line in path.read_text().splitlines() if line and "-----" not in line]

    async def get(self, path: str, *, token: str = READER) -> str:
        tls = ssl.create_default_context(cafile=self.authority.cert)
        async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=PATIENCE) as session:
            reply = await session.get(
                self.server.http.replace("http:", "https:") + path, headers={"Authorization": f"Bearer {token}"}
            )
            return str(reply.headers) + reply.text


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """Answers every request with an error, a redirect or a broken body that holds all of the request."""
    turn = 0

    async def repeat(request: web.Request) -> web.StreamResponse:
        nonlocal turn
        turn += 1
        told = f"{request.path_qs} {dict(request.headers)} {await request.text()}"
        if turn % 3 == 0:
            raise web.HTTPFound(f"http://elsewhere/?password={ECHOED}&told={told}")
        if turn % 3 == 1:
            return web.json_response({"status": "error", "errorType": "bad_data", "error": told}, status=400)
        return web.Response(text=told, status=500)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", repeat)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
    await runner.cleanup()


@pytest.fixture
def world(tmp_path: Path, prometheus_server: Any, echo: str) -> Iterator[World]:
    prometheus = prometheus_server()
    authority = Authority(tmp_path, "ours")
    pair = authority.issue("IP:127.0.0.1")
    (tmp_path / "token").write_text(FILE)
    one = Server(tmp_path, prometheus.url, log_level="debug", tls_cert=str(pair.cert), tls_key=str(pair.key))
    one.allow = "127.0.0.1"
    one.environment = {
        "MAIN_USERNAME": USER,
        "MAIN_PASSWORD": VARIABLE,
        "READER_TOKEN": READER,
        "PYTHONFAULTHANDLER": "1",  # tracebacks of all threads when a process is aborted
    }
    one.more_settings = f"""
[sources.bearer]
address = "{prometheus.url}"
auth_modes = ["bearer"]
bearer_token_file = "{tmp_path / "token"}"
headers = {{ X-Key = "{SOURCE_HEADER}" }}

[sources.basic]
address = "http://127.0.0.1:9"
auth_modes = ["basic"]
username_env = "MAIN_USERNAME"
password_env = "MAIN_PASSWORD"

[sources.echo]
address = "{echo}"
auth_modes = ["basic"]
username_env = "MAIN_USERNAME"
password_env = "MAIN_PASSWORD"
headers = {{ X-Key = "{SOURCE_HEADER}" }}

[readers.all]
namespaces = ["*"]
token_env = "READER_TOKEN"
"""
    yield World(one, authority, echo)
    one.kill()


async def test_no_secret_leaves_the_server(world: World, tmp_path: Path) -> None:
    server = world.server
    common = {"query": "vector(5)", "threshold": "10", "forecaster": "naive"}
    address, echo = {"serverAddress": server.prometheus}, {"serverAddress": world.echo}
    bearer = {"authModes": "bearer", "bearerTokenFromEnv": TOKEN}
    basic = {"authModes": "basic", "usernameFromEnv": USER, "passwordFromEnv": PASSWORD}
    custom = {"authModes": "custom", "customAuthHeaderFromEnv": "X-Key", "customAuthValueFromEnv": CUSTOM}
    pairs = {"customHeaders": f"X-Key={HEADER}", "queryParameters": f"key={PARAMETER}"}
    good = {
        "bearer": common | address | bearer,
        "basic": common | address | basic,
        "custom": common | address | custom,
        "pairs": common | address | pairs,
        "headers-env": common | address | {"customHeadersFromEnv": f"X-Key={HEADER_ENV}"},
        "named": common | {"source": "bearer"},
    }
    bad = {
        "unreachable": common | {"source": "basic"},
        "wrong-query": common | address | bearer | {"query": "sum("},
        "invalid": common | address | {"threshold": "-1", "bearerTokenFromEnv": TOKEN, "passwordFromEnv": PASSWORD},
        "plain": common | address | {"authModes": "bearer", "bearerToken": TOKEN},
        "in-the-address": common | {"serverAddress": f"http://user:{PASSWORD}@127.0.0.1:9"},
        "echo-named": common | {"source": "echo"},
        "echo-bearer": common | echo | bearer,
        "echo-basic": common | echo | basic,
        "echo-custom": common | echo | custom | pairs,
    }
    await server.start()
    put_out: list[str] = []
    trusted = grpc.ssl_channel_credentials(world.authority.cert.read_bytes())
    async with KedaClient(server.grpc, credentials=trusted) as keda:
        for name, metadata in (good | bad).items():
            for _ in range(3 if "echo" in name else 1):  # each of its answers
                reading = await keda.poll(ref(metadata, name=name))
                put_out.append(reading.text)
                assert reading.ok == (name in good), f"{name}: {reading.text}"

        async def counted() -> bool:
            return "foresail_source_errors_total" in await world.get("/metrics")

        await until(counted, lambda: "the engine's metrics never came")
        put_out += await _pages(world, [*good, *bad])
        server.signal_engine(signal.SIGABRT)  # a crash, with a dump of all its threads

        async def dumped() -> bool:
            return "Fatal Python error: Aborted" in server.log.read_text()

        await until(dumped, lambda: "the engine left no dump")
        assert (await keda.poll(ref(good["bearer"], name="bearer"))).ok
        put_out += await _pages(world, [*good, *bad])
        put_out.append(await world.get("/metrics", token="nobody-s-" + READER))
    assert resource.prlimit(server.pid, resource.RLIMIT_CORE)[0] == 0
    server.terminate()
    put_out.append(server.log.read_text())
    put_out += [path.read_bytes().decode("latin-1") for path in (tmp_path / "data").iterdir()]
    put_out += await _commands(tmp_path, {**os.environ, **server.environment})
    everything = "".join(put_out)
    assert len(everything) > 20_000
    basic_header = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    named_header = base64.b64encode(f"{USER}:{VARIABLE}".encode()).decode()
    for canary in (*CANARIES, *world.key, basic_header, named_header):
        assert canary not in everything, _around(everything, canary)


async def _pages(world: World, names: list[str]) -> list[str]:
    paths = ["/metrics", "/api/v1/triggers", "/readyz", "/healthz", "/"]
    paths += [f"/api/v1/triggers/shop/{name}/{what}" for name in names for what in ("explain", "decisions")]
    return [await world.get(path) for path in paths]


async def _commands(directory: Path, environ: dict[str, str]) -> list[str]:
    """What the command line says, by these very settings."""
    put_out = []
    for arguments in (["doctor", "--config", str(directory / "foresail.toml")], ["serve", "--config", str(directory)]):
        process = await asyncio.create_subprocess_exec(
            *("python", "-m", "scaler", *arguments),
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        put_out.append(out.decode())
    return put_out


def _around(text: str, canary: str) -> str:
    at = text.index(canary)
    return f"{canary}: …{text[max(0, at - 300) : at + 100]}…"
