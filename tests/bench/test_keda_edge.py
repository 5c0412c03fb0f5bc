"""What the edge adds to gRPC's own cost: pairs of GetMetrics and IsActive per CPU second of the server."""

from __future__ import annotations

import asyncio
import statistics
import sys
from typing import TYPE_CHECKING

import pytest

from scaler.keda.client import KedaClient, ref
from scaler.pb.externalscaler_pb2 import GetMetricsRequest
from tests.bench import edge_server

if TYPE_CHECKING:
    from asyncio.subprocess import Process

TRIGGER = ref(edge_server.METADATA, name="orders")
CALLERS = 16
PAIRS = 100  # of each caller in one round
ROUNDS = 7


async def call(client: KedaClient) -> None:
    request = GetMetricsRequest(scaledObjectRef=TRIGGER, metricName="foresail")
    for _ in range(PAIRS):
        await client.stub.GetMetrics(request)
        await client.stub.IsActive(TRIGGER)


async def cpu_seconds(server: Process) -> float:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(b"\n")
    return float(await server.stdout.readline())


async def round_of(server: Process, client: KedaClient) -> float:
    """Pairs per CPU second of the server."""
    before = await cpu_seconds(server)
    await asyncio.gather(*(call(client) for _ in range(CALLERS)))
    return CALLERS * PAIRS / (await cpu_seconds(server) - before)


@pytest.mark.bench
@pytest.mark.timeout(600)
async def test_pairs_per_cpu_second_against_a_bare_server() -> None:
    servers = {}
    clients = {}
    for kind in ("bare", "ours"):
        servers[kind] = await asyncio.create_subprocess_exec(
            sys.executable,
            edge_server.__file__,
            kind,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        stdout = servers[kind].stdout
        assert stdout is not None
        clients[kind] = KedaClient(f"127.0.0.1:{int(await stdout.readline())}")
        await round_of(servers[kind], clients[kind])  # warms up
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(ROUNDS):  # taking turns, so that both see the same machine
        for kind, rate in rates.items():
            rate.append(await round_of(servers[kind], clients[kind]))
    for kind, server in servers.items():
        await clients[kind].channel.close()
        assert server.stdin is not None
        server.stdin.close()
        await server.wait()
    bare, ours = (statistics.median(rates[kind]) for kind in ("bare", "ours"))
    print(f"\npairs per CPU second: bare {bare:.0f}, ours {ours:.0f}: ratio {ours / bare:.3f}")
