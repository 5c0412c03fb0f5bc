"""Clients that do what they should not, against a real server: all others are answered meanwhile, and nothing leaks."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc import aio

from scaler.keda.client import KedaClient, ref
from scaler.pb.externalscaler_pb2 import GetMetricsRequest
from tests.support.defaults import HEADROOM
from tests.support.raw_http2 import RawClient
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.pb.externalscaler_pb2 import IsActiveResponse, ScaledObjectRef

STREAMS = 1000
MOST_STREAMS = 128  # the default of max_streams
UNFINISHED = 1000
SPARE = 4  # files that gRPC's core may keep for the next connection
MIB = 1 << 20
GROWTH = 100 * MIB  # that thousands of calls may cost at once, and more than the machinery keeps afterwards


class Watched:
    """The edge process: what it answers, and what it holds."""

    def __init__(self, server: Server, keda: KedaClient, trigger: ScaledObjectRef) -> None:
        self.server = server
        self.keda = keda
        self.trigger = trigger
        self.files = self._files()
        self.memory = self._memory()

    def _files(self) -> int:
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))  # noqa: PTH208 - names, not paths

    def _memory(self) -> int:
        pages = int(Path(f"/proc/{self.server.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def answers(self) -> None:
        """Everybody else is answered."""
        reading = await self.keda.poll(self.trigger)
        assert reading.ok, reading.text
        assert reading.value == pytest.approx(HEADROOM * 42)
        assert self._memory() < self.memory + GROWTH

    async def recovers(self) -> None:
        """What it held for the others is let go."""

        async def let_go() -> bool:
            await self.answers()
            return self._files() <= self.files + SPARE

        await until(let_go, lambda: f"{self._files()} files are open, {self.files} were before")


async def test_hostile_clients_take_nothing_from_the_others(
    prometheus: Any, make_server: Callable[..., Server]
) -> None:
    server = make_server(prometheus.url.removeprefix("http://"))
    await server.start()
    trigger = ref(
        {
            "serverAddress": prometheus.url,
            "query": "vector(42)",
            "threshold": "10",
            "forecaster": "naive",
            "queryStep": "15s",
            "historyTimeWindow": "1h",
        }
    )
    async with KedaClient(server.grpc) as keda:
        await keda.poll(trigger)
        watched = Watched(server, keda, trigger)
        await watched.answers()
        await _a_thousand_streams(watched)
        await watched.recovers()
        await _metadata_of_four_mebibytes(watched)
        await _calls_given_up_half_way(watched)
        await watched.recovers()
        await _calls_that_never_end(watched)
        await watched.recovers()
        await _answers_that_nobody_reads(watched)
        await watched.recovers()
        await _what_is_no_grpc(watched)
        await watched.recovers()
        await _a_thousand_connections(watched)
        await watched.recovers()
    page = server.get("/metrics")
    assert "foresail_bugs_total{" not in page
    assert not [line for line in server.lines() if line["level"] == "error"]


async def _a_thousand_streams(watched: Watched) -> None:
    """As many as are allowed stay open; the others are told so at once. None is read beyond its first word."""
    async with KedaClient(watched.server.grpc) as client:
        streams = [client.push(watched.trigger) for _ in range(STREAMS)]
        outcomes = await asyncio.gather(*(_first(stream) for stream in streams))
        assert outcomes.count("open") == MOST_STREAMS
        assert outcomes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == STREAMS - MOST_STREAMS
        await watched.answers()


async def _first(stream: aio.UnaryStreamCall[ScaledObjectRef, IsActiveResponse]) -> grpc.StatusCode | str:
    try:
        await anext(aiter(stream))
    except aio.AioRpcError as error:
        return error.code()
    return "open"


async def _metadata_of_four_mebibytes(watched: Watched) -> None:
    """A trigger's, and a call's: HTTP/2 headers, which gRPC bounds by itself."""
    huge = ref({**dict(watched.trigger.scalerMetadata), "query": "x" * (4 * MIB)})
    for _ in range(20):
        with pytest.raises(aio.AioRpcError) as caught:
            await watched.keda.stub.GetMetricSpec(huge)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await watched.answers()
    for _ in range(5):
        async with KedaClient(watched.server.grpc) as other:
            with pytest.raises(aio.AioRpcError) as caught:
                await other.stub.GetMetricSpec(watched.trigger, metadata=(("x-huge", "x" * (4 * MIB)),))
            assert caught.value.code() in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
        await watched.answers()


async def _calls_given_up_half_way(watched: Watched) -> None:
    """Reset before the request is whole, after it, and the connection cut in the middle of it."""
    request = GetMetricsRequest(scaledObjectRef=watched.trigger).SerializeToString()
    for _ in range(20):
        with RawClient(watched.server.grpc) as client:
            for number in range(50):
                client.reset(client.call("GetMetrics", request, finish=bool(number % 2)))
            client.call("GetMetrics", request, finish=False)
        await watched.answers()


async def _answers_that_nobody_reads(watched: Watched) -> None:
    """Thousands of calls on connections whose answers are left lying."""
    request = GetMetricsRequest(scaledObjectRef=watched.trigger).SerializeToString()
    stream = watched.trigger.SerializeToString()
    clients = [RawClient(watched.server.grpc) for _ in range(4)]
    try:
        for client in clients:
            await asyncio.to_thread(lambda client=client: [client.call("GetMetrics", request) for _ in range(1000)])  # type: ignore[misc]
            await asyncio.to_thread(lambda client=client: [client.call("StreamIsActive", stream) for _ in range(50)])  # type: ignore[misc]
            await watched.answers()
    finally:
        for client in clients:
            client.__exit__()


async def _calls_that_never_end(watched: Watched) -> None:
    """Thousands of calls that begin and never send the rest, on several connections."""
    request = GetMetricsRequest(scaledObjectRef=watched.trigger).SerializeToString()
    clients = [RawClient(watched.server.grpc) for _ in range(3)]
    try:
        for client in clients:
            await asyncio.to_thread(
                lambda client=client: [client.call("GetMetrics", request, finish=False) for _ in range(UNFINISHED)]  # type: ignore[misc]
            )
            await watched.answers()
    finally:
        for client in clients:
            client.__exit__()


async def _what_is_no_grpc(watched: Watched) -> None:
    host, _, port = watched.server.grpc.rpartition(":")
    for nonsense in (b"GET / HTTP/1.1\r\nHost: scaler\r\n\r\n", os.urandom(4096), b"\x16\x03\x01" + bytes(500), b""):
        with socket.create_connection((host, int(port)), timeout=10.0) as other:
            other.sendall(nonsense)
        await watched.answers()


async def _a_thousand_connections(watched: Watched) -> None:
    """That say nothing at all: half on the gRPC port, half on the HTTP port."""
    addresses = [watched.server.grpc.rpartition(":"), watched.server.http.removeprefix("http://").rpartition(":")]
    idle = [
        socket.create_connection((host, int(port)), timeout=10.0)
        for host, _, port in addresses
        for _ in range(STREAMS // 2)
    ]
    try:
        await watched.answers()
        assert watched.server.get("/healthz")
    finally:
        for one in idle:
            one.close()
