"""The server on gRPC's core: what no servicer is asked about, and what it does when all goes wrong."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc import aio

from scaler.keda import core
from scaler.keda.client import KedaClient, ref
from scaler.keda.server import SERVICE, Limits
from tests.support.keda_edge import eventually, running_edge
from tests.support.scripted_desk import ScriptedDesk, decided

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ORDERS = ref({"serverAddress": "http://prometheus:9090", "query": "sum(orders)", "threshold": "5"})


def raw(client: Any) -> Any:
    """A channel that takes bytes for messages, as its types do not know."""
    return client.channel if isinstance(client, KedaClient) else client


async def failure(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call ends that must not succeed."""
    with pytest.raises(aio.AioRpcError) as failed:
        await call
    return failed.value.code(), failed.value.details() or ""


def test_this_grpc_can_be_driven() -> None:
    assert core.usable() == ""


async def test_a_method_that_is_none_is_unimplemented() -> None:
    async with running_edge(ScriptedDesk(decided(1.0))) as edge, KedaClient(edge.address) as keda:
        for method in (f"/{SERVICE}/Nothing", "/other.Service/GetMetrics", "/GetMetrics"):
            call = raw(keda).unary_unary(method)(b"")
            assert await failure(call) == (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


@pytest.mark.parametrize("method", ["GetMetricSpec", "GetMetrics", "IsActive"])
async def test_what_is_no_request_is_told_so_and_is_no_defect(method: str, caplog: pytest.LogCaptureFixture) -> None:
    async with running_edge(ScriptedDesk(decided(1.0))) as edge, KedaClient(edge.address) as keda:
        call = raw(keda).unary_unary(f"/{SERVICE}/{method}")(b"\xff\xff\xff")
        assert await failure(call) == (grpc.StatusCode.INTERNAL, "the request is no message of this method's type")
    assert caplog.records == []


async def test_a_stream_with_what_is_no_request_is_told_so() -> None:
    async with running_edge(ScriptedDesk(decided(1.0))) as edge, KedaClient(edge.address) as keda:
        call = raw(keda).unary_stream(f"/{SERVICE}/StreamIsActive")(b"\xff\xff\xff")
        ended = failure(call.read())
        assert await ended == (grpc.StatusCode.INTERNAL, "the request is no message of this method's type")


async def test_a_call_without_a_request_is_told_so() -> None:
    async def nothing() -> AsyncIterator[bytes]:
        for message in list[bytes]():
            yield message

    async with running_edge(ScriptedDesk(decided(1.0))) as edge, KedaClient(edge.address) as keda:
        call = raw(keda).stream_unary(f"/{SERVICE}/GetMetrics")(nothing())
        text = "the call ended without a request, it must have exactly one"
        assert await failure(call) == (grpc.StatusCode.UNIMPLEMENTED, text)


async def test_a_stream_without_requests_ends_well() -> None:
    async def nothing() -> AsyncIterator[bytes]:
        for message in list[bytes]():
            yield message

    async with running_edge(ScriptedDesk(decided(1.0))) as edge, KedaClient(edge.address) as keda:
        call = raw(keda).stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")(nothing())
        assert [answer async for answer in call] == []
        assert await call.code() is grpc.StatusCode.OK


async def test_known_and_unknown_loads_are_answered_side_by_side_however_many_come_at_once() -> None:
    desk = ScriptedDesk(decided(12.5))
    desk.answers["sum(new)"], desk.first = None, decided(8.0)
    desk.arrival.clear()
    new = ref({"serverAddress": "http://prometheus:9090", "query": "sum(new)", "threshold": "5"})
    async with running_edge(desk, limits=Limits(deadline=60.0)) as edge, KedaClient(edge.address) as keda:
        waiting = [asyncio.create_task(keda.poll(new)) for _ in range(100)]
        await eventually(lambda: desk.waiting == 100)
        known = await asyncio.gather(*(keda.poll(ORDERS) for _ in range(2000)))
        assert {reading.value for reading in known} == {12.5}
        desk.arrival.set()
        assert {reading.value for reading in await asyncio.gather(*waiting)} == {8.0}


async def test_calls_that_wait_for_the_event_loop_are_bounded_and_all_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core, "_ARMED", 2)
    monkeypatch.setattr(core, "_WHOLE", 1)
    monkeypatch.setattr(core, "_IN_A_ROW", 1)
    async with running_edge(ScriptedDesk(decided(12.5))) as edge, KedaClient(edge.address) as keda:
        readings = await asyncio.gather(*(keda.poll(ORDERS) for _ in range(300)))
        assert {reading.value for reading in readings} == {12.5}


async def test_calls_that_never_end_their_requests_are_bounded_and_leave_room_when_they_go() -> None:
    most = 4000 + 1 + 1
    limits = Limits(calls=1, streams=1)

    async with (
        running_edge(ScriptedDesk(decided(1.0)), limits=limits) as edge,
        aio.insecure_channel(edge.address) as channel,
        KedaClient(edge.address) as keda,
    ):
        begun = [raw(channel).stream_unary(f"/{SERVICE}/GetMetrics")() for _ in range(most + 5)]
        await asyncio.gather(*(call.wait_for_connection() for call in begun))
        await eventually(lambda: sum(call.done() for call in begun) == 5)
        refused = {(await call.code(), await call.details()) for call in begun if call.done()}
        assert refused == {(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")}
        for call in begun:
            call.cancel()
        reading = await keda.poll(ORDERS)
        while reading.code is grpc.StatusCode.RESOURCE_EXHAUSTED:  # the server hears of it in a moment
            reading = await keda.poll(ORDERS)
        assert reading.value == 1.0


async def test_a_defect_outside_of_all_boundaries_ends_its_call_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_edge(ScriptedDesk(decided(1.0))) as edge, KedaClient(edge.address) as keda:
        deeds = edge.server._server._deeds  # a fault is injected
        monkeypatch.setattr(deeds[f"/{SERVICE}/IsActive"], "at_once", lambda _request, _context: 1 / 0)
        with caplog.at_level(logging.ERROR):
            call = raw(keda).unary_unary(f"/{SERVICE}/IsActive")(ORDERS.SerializeToString())
            text = "internal error of the scaler: its log has the cause"
            assert await failure(call) == (grpc.StatusCode.UNKNOWN, text)
        assert [record.message for record in caplog.records] == ["a call failed through a defect of the scaler"]
        spec = raw(keda).unary_unary(f"/{SERVICE}/GetMetricSpec")(ORDERS.SerializeToString())
        assert await spec


async def test_where_the_core_cannot_be_driven_it_is_said_and_served_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(core, "usable", lambda: "AttributeError: no request_call")
    with caplog.at_level(logging.WARNING):
        async with running_edge(ScriptedDesk(decided(7.5))) as edge, KedaClient(edge.address) as keda:
            assert (await keda.poll(ORDERS)).value == 7.5
    text = (
        "calls take twice the CPU that they could: the core of this grpcio cannot be driven "
        "(AttributeError: no request_call)"
    )
    assert [record.message for record in caplog.records] == [text]


async def test_a_server_that_was_never_started_can_be_stopped_and_one_can_be_stopped_twice() -> None:
    server = core.CoreServer(options=[], most=1, at_once={})
    await server.stop(None)
    await server.stop(None)
