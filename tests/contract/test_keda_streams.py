"""What `external-push` triggers are told, over a real channel: edges, specs, and a clean end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from scaler.errors import AddressRefused, EngineLost, ValueUnknown, ValueUnservable
from scaler.keda.client import KedaClient, ref
from scaler.keda.server import Limits
from tests.support.keda_edge import eventually, running_edge
from tests.support.scripted_desk import ScriptedDesk, decided

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from scaler.pb.externalscaler_pb2 import IsActiveResponse

METADATA = {"serverAddress": "http://prometheus:9090", "query": "sum(orders)", "threshold": "5"}
ORDERS = ref(METADATA)

ACTIVE = decided(9.0, active=True)
IDLE = decided(0.0, active=False)


async def all_of(stream: AsyncIterable[IsActiveResponse]) -> list[bool]:
    return [response.result async for response in stream]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([IDLE], []),
        ([ACTIVE], [True]),
        ([IDLE, ACTIVE], [True]),
        ([ACTIVE, ACTIVE, ACTIVE], [True]),
        ([ACTIVE, IDLE, IDLE], [True]),
        ([ACTIVE, IDLE, ACTIVE, IDLE, ACTIVE], [True] * 3),
        ([ValueUnknown("not yet"), ACTIVE], [True]),
        ([ACTIVE, ValueUnknown("a gap"), ACTIVE], [True]),
        ([IDLE, ValueUnknown("a gap"), IDLE, ACTIVE], [True]),
        ([ACTIVE, EngineLost("restarting"), ValueUnservable("-1"), decided(float("nan")), ACTIVE], [True]),
        ([ValueUnknown("never known")], []),
    ],
)
async def test_true_is_said_on_edges_only_and_nothing_else_ever(
    states: list[Exception | object], said: list[bool]
) -> None:
    desk = ScriptedDesk(ValueUnknown("the stream has just opened"))
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        stream = keda.push(ORDERS)
        await eventually(lambda: "peek" in desk.asked)
        for state in states:
            await desk.change(state)  # type: ignore[arg-type] # a list of these two is inferred as objects
        await edge.server.drain(grace=30.0)
        assert await all_of(stream) == said
        assert await stream.code() is grpc.StatusCode.OK
    assert edge.codes == [grpc.StatusCode.OK]


async def test_a_stream_of_a_new_trigger_registers_it_and_stays_open_without_a_value() -> None:
    desk = ScriptedDesk(None)
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        stream = keda.push(ORDERS)
        await eventually(lambda: "decision" in desk.asked)
        await desk.change(ACTIVE)
        assert (await anext(aiter(stream))).result is True


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (AddressRefused("10.0.0.1 is not allowed"), grpc.StatusCode.PERMISSION_DENIED, "10.0.0.1 is not allowed"),
        (RuntimeError("hunter2"), grpc.StatusCode.INTERNAL, "internal error of the scaler: its log has the cause"),
    ],
)
async def test_what_time_does_not_heal_ends_the_stream_with_its_status(
    error: Exception, code: grpc.StatusCode, text: str
) -> None:
    desk = ScriptedDesk(None)
    desk.first = error
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        stream = keda.push(ORDERS)
        assert (await stream.code(), await stream.details()) == (code, text)
    assert edge.calls[0][:2] == ("StreamIsActive", code)
    assert edge.server.open_streams == 0


async def test_specs_come_at_once_equal_get_metric_spec_and_the_stream_stays_open() -> None:
    async with running_edge(ScriptedDesk(RuntimeError("everything is down"))) as edge, KedaClient(edge.address) as keda:
        stream = keda.push_specs(ORDERS)
        first = await anext(aiter(stream))
        assert first == await keda.stub.GetMetricSpec(ORDERS)
        assert edge.server.open_streams == 1
        assert not stream.done()
        await edge.server.drain(grace=30.0)
        assert [spec async for spec in stream] == []
        assert await stream.code() is grpc.StatusCode.OK


async def test_streams_beyond_the_bound_are_refused_in_words_until_one_goes() -> None:
    desk = ScriptedDesk(IDLE)
    async with (
        running_edge(desk, limits=Limits(streams=2, stream_rest=0.0)) as edge,
        KedaClient(edge.address) as keda,
    ):
        held = keda.push(ORDERS)
        keda.push_specs(ORDERS)
        await eventually(lambda: edge.server.open_streams == 2)
        refused = keda.push(ORDERS)
        assert await refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await refused.details() == (
            "2 streams are open, the most that this server takes: "
            "use `external` instead of `external-push` triggers, or raise max_streams in its settings"
        )
        poll = await keda.poll(ORDERS)
        assert poll.active is False, "polls are answered all the same"
        held.cancel()
        await eventually(lambda: edge.server.open_streams == 1)
        again = keda.push_specs(ORDERS)
        assert (await anext(aiter(again))).metricSpecs
    assert grpc.StatusCode.CANCELLED in edge.codes


async def test_a_client_that_breaks_off_frees_its_streams() -> None:
    desk = ScriptedDesk(IDLE)
    async with running_edge(desk) as edge:
        async with KedaClient(edge.address) as keda:
            streams = [keda.push(ORDERS), keda.push_specs(ORDERS)]
            await eventually(lambda: edge.server.open_streams == len(streams))
        await eventually(lambda: edge.server.open_streams == 0)
        assert edge.codes == [grpc.StatusCode.CANCELLED] * 2
