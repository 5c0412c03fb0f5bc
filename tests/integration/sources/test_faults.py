"""Real connections to a server that misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from scaler.errors import ResponseMalformed, ResponseTooLarge, SourceUnreachable
from scaler.sources.base import SourceSpec

if TYPE_CHECKING:
    from scaler.sources.base import MetricSource
    from scaler.sources.factory import SourcePool
    from tests.integration.sources.conftest import FaultyServer

GOOD = b'{"status":"success","data":{"resultType":"scalar","result":[1800000000,"7"]}}'


def _open(pool: SourcePool, port: int, *, timeout: float = 20.0) -> MetricSource:
    return pool.open(SourceSpec(kind="prometheus", address=f"http://127.0.0.1:{port}", timeout=timeout))


async def test_a_body_that_trickles_ends_with_the_timeout(faulty: FaultyServer, pool: SourcePool) -> None:
    async def trickle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:  # each piece comes long before a timeout for one read would strike
            await response.write(b" ")
            await asyncio.sleep(0.01)

    port = await faulty.start(trickle)
    with pytest.raises(SourceUnreachable) as caught:
        await _open(pool, port, timeout=0.5).instant("up")
    assert str(caught.value) == (
        f"source http://127.0.0.1:{port} gave no answer within 0.5s: raise timeout, or ask for less; tried 1 time"
    )


async def test_half_a_body(faulty: FaultyServer, pool: SourcePool) -> None:
    async def half(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(GOOD))})
        await response.prepare(request)
        await response.write(GOOD[:20])
        assert request.transport is not None
        request.transport.abort()
        return response

    port = await faulty.start(half)
    with pytest.raises(SourceUnreachable) as caught:
        await _open(pool, port).instant("up")
    assert str(caught.value) == f"source http://127.0.0.1:{port} broke off its answer; tried 2 times"
    assert len(faulty.requests) == 2


async def test_a_bomb_is_put_out_before_it_fills_the_memory(faulty: FaultyServer, pool: SourcePool) -> None:
    bomb = gzip.compress(bytes(50_000_000), compresslevel=9)
    assert len(bomb) < 50_000_000 / 900

    async def explode(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    port = await faulty.start(explode)
    source = _open(pool, port)
    tracemalloc.start()
    with pytest.raises(ResponseTooLarge):
        await source.instant("up")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


async def test_a_body_without_end(faulty: FaultyServer, pool: SourcePool) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 10_000)

    port = await faulty.start(endless)
    with pytest.raises(ResponseTooLarge):
        await _open(pool, port).instant("up")


async def test_too_many_requests_for_a_moment(faulty: FaultyServer, pool: SourcePool) -> None:
    async def busy(_request: web.BaseRequest) -> web.StreamResponse:
        if len(faulty.requests) == 1:
            return web.Response(status=429, headers={"Retry-After": "0"})
        return web.Response(body=gzip.compress(GOOD), headers={"Content-Encoding": "gzip"})

    port = await faulty.start(busy)
    series = _open(pool, port)
    with pytest.raises(Exception, match="gives a value that is") as caught:  # an answer of 2027, read to its end
        await series.instant("up")
    assert type(caught.value).__name__ == "NoData"
    assert len(faulty.requests) == 2


async def test_a_redirect_goes_nowhere(faulty: FaultyServer, pool: SourcePool) -> None:
    async def redirect(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=301, headers={"Location": f"http://127.0.0.1:{port}/inside"})

    port = await faulty.start(redirect)
    with pytest.raises(ResponseMalformed) as caught:
        await _open(pool, port).instant("up")
    assert str(caught.value) == (
        f"source http://127.0.0.1:{port} answers 301, a redirect to http://127.0.0.1:{port}/inside: "
        "redirects are not followed; give the final address"
    )
    assert len(faulty.requests) == 1


async def test_something_that_does_not_speak_http(pool: SourcePool) -> None:
    async def ssh(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    server = await asyncio.start_server(ssh, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SourceUnreachable) as caught:
            await _open(pool, port).instant("up")
        with pytest.raises(SourceUnreachable) as encrypted:
            await pool.open(SourceSpec(kind="prometheus", address=f"https://127.0.0.1:{port}")).instant("up")
    assert str(caught.value) == f"source http://127.0.0.1:{port} broke off its answer; tried 2 times"
    assert str(encrypted.value) == (
        f"source https://127.0.0.1:{port} cannot be reached: no TLS connection: wrong version number; tried 2 times"
    )


async def test_connections_are_used_again_and_shared(faulty: FaultyServer, pool: SourcePool) -> None:
    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"load 1\n")

    port = await faulty.start(answer)
    spec = SourceSpec(kind="exposition", address=f"http://127.0.0.1:{port}")
    for query in ("load", 'load{a=""}', 'load{b=""}'):
        assert (await pool.open(spec).instant(query)).value == 1
    assert len({id(request.transport) for request in faulty.requests}) == 1
