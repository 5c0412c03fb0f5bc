"""The server around the calls: health, reflection, addresses, draining."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from scaler.errors import InvalidSettings
from scaler.keda.client import KedaClient, ref
from scaler.keda.server import SERVICE, Limits
from tests.support.keda_edge import eventually, running_edge
from tests.support.scripted_desk import ScriptedDesk, decided

if TYPE_CHECKING:
    from pathlib import Path

METADATA = {"serverAddress": "http://prometheus:9090", "query": "sum(orders)", "threshold": "5"}
ORDERS = ref(METADATA)


def desk() -> ScriptedDesk:
    return ScriptedDesk(decided(1.0))


def statuses(*names: str) -> list[HealthCheckResponse]:
    return [HealthCheckResponse(status=HealthCheckResponse.ServingStatus.Value(name)) for name in names]


async def test_the_service_is_the_one_that_keda_calls() -> None:
    assert SERVICE == "externalscaler.ExternalScaler"


def test_grpc_knows_everything_that_is_asked_of_it() -> None:
    """An experiment that a later grpcio has ended would be complained of at each start."""
    program = "from scaler.keda import server; import os; print(os.environ['GRPC_EXPERIMENTS'])"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    started = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert (started.stdout, started.stderr) == ("-event_engine_listener\n", "")


async def test_health_speaks_for_the_server_and_for_the_service() -> None:
    async with running_edge(desk()) as edge, KedaClient(edge.address) as keda:
        health: Any = HealthStub(keda.channel)  # its type stubs know no asyncio
        for service in ("", SERVICE):
            assert [await health.Check(HealthCheckRequest(service=service))] == statuses("SERVING")
        with pytest.raises(aio.AioRpcError) as failed:
            await health.Check(HealthCheckRequest(service="other"))
        assert failed.value.code() is grpc.StatusCode.NOT_FOUND
        assert failed.value.details() == ("no such service here; there are '', 'externalscaler.ExternalScaler'")


async def test_health_watchers_hear_of_draining_first_and_do_not_hold_it_up() -> None:
    async with running_edge(desk()) as edge, KedaClient(edge.address) as keda:
        health: Any = HealthStub(keda.channel)  # its type stubs know no asyncio
        watches = [health.Watch(HealthCheckRequest(service=service)) for service in ("", SERVICE, "other")]
        first = [await anext(aiter(watch)) for watch in watches]
        assert first == statuses("SERVING", "SERVING", "SERVICE_UNKNOWN")
        await edge.server.drain(grace=60.0)
        rest = [[response async for response in watch] for watch in watches]
        assert rest == [statuses("NOT_SERVING"), statuses("NOT_SERVING"), []]
        assert [await watch.code() for watch in watches] == [grpc.StatusCode.OK] * 3


async def test_reflection_tells_the_services_and_the_wire() -> None:
    async with running_edge(desk()) as edge, KedaClient(edge.address) as keda:
        channel: Any = keda.channel  # the type stubs know no asyncio
        reflection: Any = ServerReflectionStub(channel)
        asked = [
            ServerReflectionRequest(list_services=""),
            ServerReflectionRequest(file_containing_symbol=SERVICE),
        ]
        listed, found = [answer async for answer in reflection.ServerReflectionInfo(iter(asked))]
    assert {service.name for service in listed.list_services_response.service} >= {SERVICE, "grpc.health.v1.Health"}
    file = FileDescriptorProto.FromString(found.file_descriptor_response.file_descriptor_proto[0])
    assert [method.name for method in file.service[0].method] == [
        "IsActive",
        "StreamIsActive",
        "GetMetricSpec",
        "GetMetrics",
        "StreamMetricSpec",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::]", "0.0.0.0", "localhost"])  # noqa: S104 - what users write
async def test_an_address_in_use_is_told_in_words(host: str) -> None:
    async with running_edge(desk()) as edge:
        address = f"{host}:{edge.server.port}"
        told = f"settings: grpc_address {address}: cannot listen there: Address already in use; choose another"
        with pytest.raises(InvalidSettings, match=f"^{re.escape(told)}$"):
            async with running_edge(desk(), address=address):
                pass


async def test_an_address_half_in_use_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"localhost:{taken.getsockname()[1]}"
        with pytest.raises(InvalidSettings, match=r"cannot listen there: Address already in use; choose another$"):
            async with running_edge(desk(), address=address):
                pass


@pytest.mark.parametrize("address", ["", "6000", "localhost", ":6000", "localhost:", "[::]:65536", "localhost:-1"])
async def test_what_is_no_address_is_told_in_words(address: str) -> None:
    told = f"settings: grpc_address {address!r} is no address to listen on: give HOST:PORT, such as [::]:6000"
    with pytest.raises(InvalidSettings, match=f"^{re.escape(told)}$"):
        async with running_edge(desk(), address=address):
            pass


async def test_an_address_of_another_machine_is_told_in_words() -> None:
    told = "settings: grpc_address 192.0.2.1:6000: cannot listen there: Cannot assign requested address; choose another"
    with pytest.raises(InvalidSettings, match=f"^{re.escape(told)}$"):
        async with running_edge(desk(), address="192.0.2.1:6000"):
            pass


async def test_draining_finishes_the_calls_at_work_ends_streams_well_and_takes_no_more() -> None:
    held = ScriptedDesk(None)
    held.first = decided(7.0)
    held.arrival.clear()
    async with (
        running_edge(held, limits=Limits(deadline=60.0, stream_rest=0.0)) as edge,
        KedaClient(edge.address) as keda,
        KedaClient(edge.address) as late,
    ):
        calls = [asyncio.ensure_future(keda.stub.IsActive(ref(METADATA, name=f"web-{n}"))) for n in range(20)]
        specs = keda.push_specs(ORDERS)
        assert (await anext(aiter(specs))).metricSpecs
        activity = keda.push(ORDERS)
        await eventually(lambda: held.waiting == 21)
        drain = asyncio.create_task(edge.server.drain(grace=60.0))
        codes = [await specs.code(), await activity.code()]
        await eventually(lambda: edge.server.open_streams == 0)
        refused = await late.poll(ORDERS)
        assert not drain.done(), "calls are at work"
        held.arrival.set()
        answers = await asyncio.gather(*calls)
        await drain
    assert codes == [grpc.StatusCode.OK] * 2
    assert [answer.result for answer in answers] == [True] * 20
    assert refused.code is grpc.StatusCode.UNAVAILABLE


async def test_while_the_delay_runs_not_ready_any_more_calls_and_streams_go_on() -> None:
    idle = ScriptedDesk(decided(0.0, active=False))
    async with running_edge(idle) as edge, KedaClient(edge.address) as keda:
        health: Any = HealthStub(keda.channel)  # as above
        watch = health.Watch(HealthCheckRequest())
        assert [await watch.read()] == statuses("SERVING")
        activity = keda.push(ORDERS)
        await eventually(lambda: edge.server.open_streams == 1)
        drain = asyncio.create_task(edge.server.drain(grace=60.0, delay=3600.0))
        assert [await watch.read()] == statuses("NOT_SERVING")
        assert (await keda.poll(ORDERS)).active is False
        await idle.change(decided(5.0))
        assert (await anext(aiter(activity))).result is True
        drain.cancel()


async def test_what_is_not_done_within_the_grace_is_cut_off() -> None:
    held = ScriptedDesk(None)
    held.arrival.clear()
    async with running_edge(held, limits=Limits(deadline=60.0)) as edge, KedaClient(edge.address) as keda:
        poll = asyncio.create_task(keda.poll(ORDERS))
        await eventually(lambda: held.waiting == 1)
        await edge.server.drain(grace=0.05)
        reading = await poll
    assert reading.code is grpc.StatusCode.UNAVAILABLE
    assert edge.codes[1] is grpc.StatusCode.CANCELLED
    assert held.waiting == 0


async def test_it_speaks_tls_where_it_has_a_certificate(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [*command.split(), *names], check=True, capture_output=True)
    server = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    channel = grpc.ssl_channel_credentials(certificate.read_bytes())
    async with (
        running_edge(desk(), credentials=server) as edge,
        KedaClient(edge.address, credentials=channel) as keda,
        KedaClient(edge.address) as plain,
    ):
        assert (await keda.poll(ORDERS)).value == 1.0
        assert (await plain.poll(ORDERS)).code is grpc.StatusCode.UNAVAILABLE
