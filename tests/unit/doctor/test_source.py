"""The way to a source, with a fault at each of its steps."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

import pytest
from aiohttp import web

from scaler.doctor.check import Finding, Report, Verdict, run_checks
from scaler.doctor.query import past_check
from scaler.doctor.source import Tools, source_checks
from scaler.sources.address import AddressPolicy
from scaler.sources.base import SourceSpec
from scaler.sources.factory import SourcePool
from scaler.sources.fetch import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from scaler.sources.address import IPAddress

TOKEN = "canary-8f21"


class Answering:
    """An HTTP server on a port of its own that answers with whatever the test has put into `reply`."""

    def __init__(self) -> None:
        self.reply: Callable[[web.BaseRequest], web.Response] = lambda _: web.Response(status=404)
        self.port = 0
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        return self.reply(request)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
async def server() -> AsyncIterator[Answering]:
    async with Answering() as one:
        yield one


@pytest.fixture
async def pool() -> AsyncIterator[SourcePool]:
    pool = SourcePool(policy=AddressPolicy(), retry=RetryPolicy(attempts=1))
    yield pool
    await pool.close()


def tools(pool: SourcePool, **changes: Any) -> Tools:
    return Tools(**{"pool": pool, "policy": AddressPolicy(), "sleep": asyncio.sleep, **changes})


async def reports(spec: SourceSpec, tools: Tools) -> dict[str, Report]:
    return {report.name: report async for report in run_checks(source_checks("it", spec, tools))}


def found(report: Report) -> Finding:
    return Finding(report.verdict, report.found, report.mend)


def prometheus(skew: float = 0.0) -> Callable[[web.BaseRequest], web.Response]:
    """Answers `time()` as a Prometheus whose clock is that far ahead."""

    def reply(request: web.BaseRequest) -> web.Response:
        assert "time" not in request.query  # asked for now, by its own clock
        now = time.time() + skew
        return web.json_response(
            {"status": "success", "data": {"resultType": "scalar", "result": [now, json.dumps(now)]}}
        )

    return reply


def named(url: str, **changes: Any) -> SourceSpec:
    return SourceSpec(**{"kind": "prometheus", "address": url, "name": "main", **changes})


async def test_a_good_source(server: Answering, pool: SourcePool) -> None:
    server.reply = prometheus()
    seen = await reports(named(server.url), tools(pool))
    assert {name: report.verdict for name, report in seen.items()} == dict.fromkeys(
        ["address", "name", "connection", "credentials", "API", "clock"], Verdict.OK
    )
    assert [report.found for report in seen.values()][:-1] == [
        f"{server.url} (prometheus)",
        "127.0.0.1 needs no resolving",
        "it takes connections, without TLS",
        "none are sent, none are asked for",
        "it answers PromQL as Prometheus does",
    ]


async def test_an_address_that_triggers_may_not_name(server: Answering, pool: SourcePool) -> None:
    seen = await reports(SourceSpec(kind="prometheus", address=server.url), tools(pool))
    assert found(seen["address"]) == Finding(
        Verdict.FAIL,
        f"address 127.0.0.1:{server.port} is refused: it is a loopback address; give the address of the source's "
        f"Service, or let the operator allow it with --allow-address 127.0.0.1:{server.port}",
        "mend the address; what triggers may name, the settings' allow_addresses extend",
    )
    assert {report.verdict for name, report in seen.items() if name != "address"} == {Verdict.SKIP}


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[IPAddress]]]:
    async def resolve(host: str, port: int) -> Sequence[IPAddress]:
        del host, port
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [ip_address(address) for address in addresses]

    return resolve


async def test_names(pool: SourcePool) -> None:
    spec = SourceSpec(kind="prometheus", address="http://prometheus.monitoring.svc:9090")
    (_, name, *_) = source_checks("it", spec, tools(pool, resolve=resolving("10.0.0.7", "10.0.0.8")))
    assert await name.ask() == Finding(Verdict.OK, "prometheus.monitoring.svc is 10.0.0.7, 10.0.0.8")
    seen = await reports(spec, tools(pool, resolve=resolving()))
    assert found(seen["name"]) == Finding(
        Verdict.FAIL,
        "the name prometheus.monitoring.svc cannot be resolved",
        "check the spelling; names such as prometheus.monitoring.svc are known inside the cluster only: run this "
        "there, with 'kubectl exec', as the server does",
    )
    seen = await reports(spec, tools(pool, resolve=resolving("169.254.169.254")))
    assert seen["name"].found.startswith(
        "address prometheus.monitoring.svc:9090 is refused: it resolves to 169.254.169.254, a cloud's metadata address"
    )


async def test_nobody_listens(pool: SourcePool) -> None:
    with socket.socket() as taken:  # bound but not listening
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        seen = await reports(named(f"http://127.0.0.1:{port}"), tools(pool))
    assert found(seen["connection"]) == Finding(
        Verdict.FAIL,
        f"127.0.0.1:{port} cannot be reached: connection refused",
        "see that it runs, that the port is right, and that no NetworkPolicy or firewall stands between",
    )
    assert seen["clock"].found == "not looked at, as connection failed"


async def test_tls_where_there_is_none(server: Answering, pool: SourcePool) -> None:
    seen = await reports(named(server.url.replace("http:", "https:")), tools(pool))
    assert seen["connection"].verdict is Verdict.FAIL
    assert seen["connection"].found.startswith(f"127.0.0.1:{server.port} cannot be reached: no TLS connection: ")


async def test_a_wrong_token(server: Answering, pool: SourcePool) -> None:
    def reply(request: web.BaseRequest) -> web.Response:
        right = request.headers.get("Authorization") == "Bearer right"
        return prometheus()(request) if right else web.Response(status=401)

    server.reply = reply
    wrong = named(server.url, auth_modes=("bearer",), bearer_token=TOKEN)
    seen = await reports(wrong, tools(pool))
    assert seen["credentials"].verdict is Verdict.FAIL
    assert "answers 401 (Unauthorized): the credentials sent are not good enough" in seen["credentials"].found
    assert TOKEN not in str(seen)
    right = named(server.url, auth_modes=("bearer",), bearer_token="right")
    assert found((await reports(right, tools(pool)))["credentials"]) == Finding(
        Verdict.WARN,
        "bearer: accepted, and sent without TLS",
        "use https, so that nobody between can read them, unless a service mesh encrypts",
    )


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (web.Response(text="<html>login</html>"), "answers with a web page where Prometheus's JSON belongs"),
        (web.Response(status=404), "has no Prometheus API at "),
        (web.Response(status=503), "answers 503 (Service Unavailable)"),
        (web.Response(status=302, headers={"Location": "http://elsewhere/"}), "a redirect to http://elsewhere"),
        (web.Response(text='{"hello": 1}'), "answers with JSON that is not Prometheus's"),
    ],
)
async def test_what_is_no_prometheus(server: Answering, pool: SourcePool, reply: web.Response, text: str) -> None:
    server.reply = lambda _: web.Response(status=reply.status, body=reply.body, headers=reply.headers)
    seen = await reports(named(server.url), tools(pool))
    assert seen["credentials"].verdict is Verdict.OK
    assert seen["API"].verdict is Verdict.FAIL
    assert text in seen["API"].found
    assert seen["API"].mend == "give the address that comes before /api/v1, or of a metrics page the page itself"


@pytest.mark.parametrize(
    ("skew", "verdict", "text"),
    [
        (0.0, Verdict.OK, "it agrees with this machine's to "),
        (30.0, Verdict.WARN, "the source's clock is 30s ahead of this machine's"),
        (-30.0, Verdict.WARN, "the source's clock is 30s behind this machine's"),
        (3600.0, Verdict.FAIL, "the source's clock is 1h ahead of this machine's"),
        (-400.0, Verdict.FAIL, "the source's clock is 6m40s behind this machine's"),
    ],
)
async def test_clocks(server: Answering, pool: SourcePool, skew: float, verdict: Verdict, text: str) -> None:
    frozen = 1_700_000_000.0
    server.reply = prometheus(frozen + skew - time.time())
    seen = (await reports(named(server.url), tools(pool, now=lambda: frozen)))["clock"]
    assert seen.verdict is verdict
    assert seen.found.startswith(text)
    if verdict is not Verdict.OK:
        assert seen.mend == (
            "let both keep time with NTP or chrony: values are asked for, and forecasts made, for moments"
        )


def page(text: str, date: str) -> Callable[[web.BaseRequest], web.Response]:
    return lambda _: web.Response(text=text, headers={"Date": date})


async def test_a_metrics_page(server: Answering, pool: SourcePool) -> None:
    now = 1_700_000_000.4
    server.reply = page("load 5\n", format_datetime(datetime.fromtimestamp(now, tz=UTC), usegmt=True))
    spec = named(f"{server.url}/metrics", kind="exposition")
    seen = await reports(spec, tools(pool, now=lambda: now))
    assert {report.verdict for report in seen.values()} == {Verdict.OK}
    assert seen["API"].found == "it is a page of metrics"
    assert seen["clock"].found == "it agrees with this machine's to 1s"
    past = past_check("it", spec, tools(pool), window=86400.0, needs=source_checks("it", spec, tools(pool))[0])
    assert await past.ask() == Finding(
        Verdict.OK, "a metrics page has no past: the history is what the server scrapes from the first call on"
    )


async def test_a_metrics_page_that_is_none_or_tells_no_time(server: Answering, pool: SourcePool) -> None:
    spec = named(f"{server.url}/metrics", kind="exposition")
    server.reply = page("<html>\n", "yesterday")
    seen = await reports(spec, tools(pool))
    assert seen["API"].verdict is Verdict.FAIL
    assert "does not answer in Prometheus's text format" in seen["API"].found
    server.reply = page("load 5\n", "yesterday")
    clock = (await reports(spec, tools(pool)))["clock"]
    assert clock.verdict is Verdict.OK
    assert clock.found.endswith("does not say what time it is: its answer has no Date")
