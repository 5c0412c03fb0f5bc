"""KEDA's calls in KEDA's order over a real channel: what it may and may not be told."""

from __future__ import annotations

import asyncio
import logging
import math
from itertools import groupby
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc import aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaler.errors import AddressRefused, EngineLost, LimitReached, ValueUnknown, ValueUnservable
from scaler.keda.client import KedaClient, ref
from scaler.keda.server import Limits
from scaler.pb.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from tests.support.keda_edge import eventually, running_edge
from tests.support.scripted_desk import ScriptedDesk, decided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler.decision import Decision

METADATA = {
    "scalerAddress": "foresail.keda:6000",  # KEDA's own; it comes with all the others
    "serverAddress": "http://prometheus:9090",
    "query": "sum(rate(http_requests_total[2m]))",
    "threshold": "5",
}
ORDERS = ref(METADATA)
CARTS = ref({**METADATA, "query": "sum(carts)"})

UNKNOWN = "the load is not known: the last value is 6m old, older than the 5m that a value is good for"


async def test_a_poll_asks_for_the_spec_then_the_value_then_the_activity() -> None:
    async with running_edge(ScriptedDesk(decided(12.5))) as edge, KedaClient(edge.address) as keda:
        reading = await keda.poll(ORDERS)
    assert edge.methods == ["GetMetricSpec", "GetMetrics", "IsActive"]
    assert edge.codes == [grpc.StatusCode.OK] * 3
    assert all(0 <= seconds < 60 for _, _, seconds in edge.calls)
    assert (reading.target, reading.value, reading.active, reading.replicas) == (5.0, 12.5, True, 3)


async def test_is_active_follows_the_decision_of_the_get_metrics_before_it() -> None:
    desk = ScriptedDesk(decided(12.5, active=False))
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        reading = await keda.poll(ORDERS)
    assert reading.active is False
    assert desk.asked == ["trigger", "peek", "peek, follows"]  # metadata that were read before are not read again


async def test_the_hpa_asks_for_all_specs_of_the_scaled_object_before_each_value() -> None:
    desk = ScriptedDesk(decided(12.5))
    desk.answers[CARTS.scalerMetadata["query"]] = decided(3.0, active=False)
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        orders, carts = await keda.sync([ORDERS, CARTS])
    assert edge.methods == ["GetMetricSpec", "GetMetricSpec", "GetMetrics", "IsActive"] * 2
    assert (orders.value, orders.active) == (12.5, True)
    assert (carts.value, carts.active) == (3.0, False)
    assert orders.metric != carts.metric


async def test_triggers_that_differ_only_in_metadata_or_namespace_are_told_apart() -> None:
    desk = ScriptedDesk(decided(1.0))
    keys = {
        desk.trigger(one.namespace, one.name, one.scalerMetadata).key
        for one in (
            ORDERS,
            CARTS,
            ref({**METADATA, "threshold": "6"}),
            ref(METADATA, namespace="other"),
            ref(METADATA, name="other"),
        )
    }
    assert len(keys) == 5


async def test_with_cached_metrics_the_hpa_asks_for_specs_only() -> None:
    async with running_edge(ScriptedDesk(decided(1.0))) as edge, KedaClient(edge.address) as keda:
        specs = await keda.specs_only([ORDERS, CARTS])
    assert [spec.targetSizeFloat for spec in specs] == [5.0, 5.0]
    assert edge.methods == ["GetMetricSpec", "GetMetricSpec"]


@pytest.mark.parametrize("broken", [RuntimeError("everything is down"), EngineLost("the engine is gone"), None])
async def test_the_spec_depends_on_the_metadata_alone(broken: Exception | None) -> None:
    desk = ScriptedDesk(broken)
    desk.arrival.clear()  # whoever waits for a value waits for ever
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        first, second = await keda.specs_only([ORDERS, ORDERS])
    assert first == second
    assert first.targetSizeFloat == 5.0
    assert desk.asked == ["trigger"]


async def test_an_unknown_load_is_unavailable_for_both_calls_and_never_zero_or_false() -> None:
    async with running_edge(ScriptedDesk(ValueUnknown(UNKNOWN))) as edge, KedaClient(edge.address) as keda:
        reading = await keda.poll(ORDERS)
        with pytest.raises(aio.AioRpcError) as failed:
            await keda.stub.IsActive(ORDERS)
    assert (reading.code, reading.text) == (grpc.StatusCode.UNAVAILABLE, UNKNOWN)
    assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.UNAVAILABLE, UNKNOWN)
    assert edge.methods == ["GetMetricSpec", "GetMetrics", "GetMetrics", "IsActive"], "KEDA tries once more, at once"


async def test_metadata_are_read_once_in_whatever_order_they_come() -> None:
    desk = ScriptedDesk(decided(12.5, active=True))
    turned = ref(dict(reversed(list(ORDERS.scalerMetadata.items()))), namespace=ORDERS.namespace, name=ORDERS.name)
    other = ref({**ORDERS.scalerMetadata, "threshold": "7"}, namespace=ORDERS.namespace, name=ORDERS.name)
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        for one in (ORDERS, turned, other, ORDERS):
            reading = await keda.poll(one)
            assert reading.target == (7.0 if one is other else 5.0)
    assert desk.asked.count("trigger") == 2


async def test_what_the_desk_has_forgotten_is_read_again() -> None:
    desk = ScriptedDesk(decided(12.5, active=True))
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        await keda.poll(ORDERS)
        desk.forget()
        await keda.poll(ORDERS)
    assert desk.asked.count("trigger") == 2


async def test_the_first_call_of_a_trigger_waits_for_its_first_value() -> None:
    desk = ScriptedDesk(None)
    desk.first = decided(8.0)
    desk.arrival.clear()
    async with running_edge(desk, limits=Limits(deadline=60.0)) as edge, KedaClient(edge.address) as keda:
        poll = asyncio.create_task(keda.poll(ORDERS))
        await eventually(lambda: desk.waiting == 1)
        desk.arrival.set()
        reading = await poll
    assert (reading.value, reading.active) == (8.0, True)
    # where waiting is needed metadata are read again: the desk may have let go of them meanwhile
    asked = ["trigger", "peek", "trigger", "decision", "peek, follows", "trigger", "decision, follows"]
    assert [one for one, _ in groupby(desk.asked)] == asked  # looked at twice, before and in the task that waits


async def test_our_own_deadline_ends_a_call_that_the_client_would_wait_for_without_limit() -> None:
    desk = ScriptedDesk(None)
    desk.arrival.clear()
    async with running_edge(desk, limits=Limits(deadline=0.1)) as edge, KedaClient(edge.address) as keda:
        reading = await keda.poll(ORDERS)
    assert reading.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert reading.text == "no answer within 0.1s, the server's own deadline for a call"
    assert desk.waiting == 0, "what the call waited for is let go"


async def test_a_timeout_inside_the_desk_is_a_defect_and_not_our_deadline() -> None:
    desk = ScriptedDesk(None)
    desk.first = TimeoutError("a socket's own text")  # what no desk should raise
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        reading = await keda.poll(ORDERS)
    assert (reading.code, reading.text) == (
        grpc.StatusCode.INTERNAL,
        "internal error of the scaler: its log has the cause",
    )


async def test_a_clients_shorter_deadline_and_its_going_away_end_the_call() -> None:
    desk = ScriptedDesk(None)
    desk.arrival.clear()
    async with running_edge(desk, limits=Limits(deadline=60.0)) as edge, KedaClient(edge.address) as keda:
        hurried = keda.stub.IsActive(ORDERS, timeout=1.0)
        await eventually(lambda: desk.waiting == 1)  # it has reached the server
        with pytest.raises(aio.AioRpcError) as failed:
            await hurried
        await eventually(lambda: desk.waiting == 0)
        call = keda.stub.GetMetrics(GetMetricsRequest(scaledObjectRef=ORDERS))
        await eventually(lambda: desk.waiting == 1)
        call.cancel()
        await eventually(lambda: len(edge.calls) == 2)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert edge.codes == [grpc.StatusCode.CANCELLED] * 2
    assert desk.waiting == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AddressRefused("http://metadata.internal is not on the list"), grpc.StatusCode.PERMISSION_DENIED),
        (LimitReached("20000 triggers are known"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (ValueUnservable("the query gives -1.0"), grpc.StatusCode.FAILED_PRECONDITION),
        (EngineLost("the engine is being started again"), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_errors_arrive_with_their_status_and_their_own_text(error: Exception, code: grpc.StatusCode) -> None:
    desk = ScriptedDesk(None)
    desk.first = error
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        reading = await keda.poll(ORDERS)
    assert (reading.code, reading.text) == (code, str(error))
    assert math.isnan(reading.value), "nothing was read"


async def test_a_trigger_with_problems_fails_everywhere_with_all_of_them_in_words() -> None:
    bad = ref({"serverAddress": "http://prometheus:9090", "threshold": "-1"})
    async with running_edge(ScriptedDesk(decided(1.0))) as edge, KedaClient(edge.address) as keda:
        poll = await keda.poll(bad)
        sync = await keda.sync([ORDERS, bad])
        activity = keda.push(bad)
        specs = keda.push_specs(bad)
        codes = [await activity.code(), await specs.code()]
    assert poll.code is grpc.StatusCode.INVALID_ARGUMENT
    assert poll.text.startswith("trigger metadata has 2 problems: (1) ")
    assert "threshold" in poll.text
    assert "query" in poll.text
    assert [reading.code for reading in sync] == [grpc.StatusCode.INVALID_ARGUMENT] * 2, "one bad trigger fails both"
    assert codes == [grpc.StatusCode.INVALID_ARGUMENT] * 2


async def test_a_text_too_long_for_a_header_is_cut_and_still_arrives() -> None:
    desk = ScriptedDesk(ValueUnknown("\N{SNOWMAN}" * 5000))  # three bytes each, nine when escaped
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        reading = await keda.poll(ORDERS)
    assert reading.code is grpc.StatusCode.UNAVAILABLE
    assert reading.text == "\N{SNOWMAN}" * 796 + " … (cut)"


async def test_a_defect_tells_the_client_nothing_and_the_log_all_of_it_once(caplog: pytest.LogCaptureFixture) -> None:
    async with running_edge(ScriptedDesk(KeyError("hunter2"))) as edge, KedaClient(edge.address) as keda:
        with caplog.at_level(logging.ERROR):
            reading = await keda.poll(ORDERS)
    assert edge.methods == ["GetMetricSpec", "GetMetrics", "GetMetrics"]
    assert (reading.code, reading.text) == (
        grpc.StatusCode.INTERNAL,
        "internal error of the scaler: its log has the cause",
    )
    assert [record.getMessage() for record in caplog.records] == ["GetMetrics failed through a defect of the scaler"]
    assert caplog.records[0].exc_info is not None
    assert isinstance(caplog.records[0].exc_info[1], KeyError)


async def test_a_foreign_metric_name_is_answered_as_our_own() -> None:
    async with running_edge(ScriptedDesk(decided(2.0))) as edge, KedaClient(edge.address) as keda:
        named = await keda.stub.GetMetrics(GetMetricsRequest(scaledObjectRef=ORDERS, metricName="s0-something"))
        nameless = await keda.stub.GetMetrics(GetMetricsRequest(scaledObjectRef=ORDERS))
    assert named == nameless
    assert [value.metricValueFloat for value in named.metricValues] == [2.0]


@pytest.mark.parametrize("request_", [ScaledObjectRef(), ScaledObjectRef(name="web", namespace="shop")])
async def test_a_reference_without_metadata_is_an_invalid_argument(request_: ScaledObjectRef) -> None:
    async with running_edge(ScriptedDesk(decided(2.0))) as edge, KedaClient(edge.address) as keda:
        reading = await keda.poll(request_)
        with pytest.raises(aio.AioRpcError) as failed:
            await keda.stub.GetMetrics(GetMetricsRequest())
    assert reading.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.lists(st.floats(), min_size=1, max_size=20), active=st.booleans())
async def test_no_decision_however_odd_sends_a_bad_number(values: Sequence[float], active: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    desk = ScriptedDesk(None)
    async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
        for value in values:
            desk.answers[METADATA["query"]] = decided(value, active=active)
            reading = await keda.poll(ORDERS)  # asserts: exactly one value, finite, not negative
            if 0 <= value <= 9e15:
                assert (reading.code, reading.value, reading.active) == (grpc.StatusCode.OK, value, active)
            else:
                assert reading.code is grpc.StatusCode.FAILED_PRECONDITION
                with pytest.raises(aio.AioRpcError):
                    await keda.stub.IsActive(ORDERS)


@pytest.mark.parametrize(
    ("threshold", "value", "replicas"),
    [("5", 12.5, 3), ("0.5", 2.3, 5), ("2.5", 10.0, 4), ("0.25", 0.0, 0), ("0.001", 0.003, 3), ("1000", 0.2, 1)],
)
async def test_a_keda_that_reads_whole_numbers_asks_for_as_many_pods(
    threshold: str, value: float, replicas: int
) -> None:
    trigger = ref({**METADATA, "threshold": threshold})
    desk = ScriptedDesk(decided(value))
    async with (
        running_edge(desk) as edge,
        KedaClient(edge.address) as new,
        KedaClient(edge.address, reads_floats=False) as old,
    ):
        readings = [await new.poll(trigger), await old.poll(trigger)]
    assert [reading.replicas for reading in readings] == [replicas, replicas]


def by_query(values: Sequence[float]) -> dict[str, Decision | Exception | None]:
    return {f"sum(q{n})": decided(value) for n, value in enumerate(values)}


async def test_a_keda_that_begins_with_all_its_triggers_at_once_gets_an_answer_for_each() -> None:
    desk = ScriptedDesk(None)
    desk.answers = by_query([float(n) for n in range(1500)])
    triggers = [ref({**METADATA, "query": query}, name=f"web-{n}") for n, query in enumerate(desk.answers)]
    async with running_edge(desk, limits=Limits(calls=64, streams=4)) as edge, KedaClient(edge.address) as keda:
        calls = [keda.stub.GetMetrics(GetMetricsRequest(scaledObjectRef=trigger)) for trigger in triggers]
        values = [(await call).metricValues[0].metricValueFloat for call in calls]
    assert values == [float(n) for n in range(1500)]
    assert edge.codes == [grpc.StatusCode.OK] * 1500


async def test_calls_beyond_the_bound_do_not_wait_and_all_that_need_not_wait_are_answered() -> None:
    desk = ScriptedDesk(None)
    desk.first = decided(1.0)
    desk.answers = {"known": decided(2.0)}
    desk.arrival.clear()
    async with (
        running_edge(desk, limits=Limits(calls=3, streams=1, deadline=60.0)) as edge,
        KedaClient(edge.address) as keda,
    ):
        held = [asyncio.create_task(keda.poll(ref(METADATA, name=f"web-{n}"))) for n in range(3)]
        await eventually(lambda: desk.waiting == 3)
        refused = await keda.poll(ORDERS)  # its spec was answered, or this would be another error
        known = await keda.poll(ref({**METADATA, "query": "known"}))
        desk.arrival.set()
        answered = await asyncio.gather(*held)
        later = await keda.poll(ORDERS)
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.text == (
        "3 calls wait for the first values of their triggers, the most that this server lets wait: "
        "ask again in a moment, or raise max_concurrent_rpcs in its settings"
    )
    assert "GetMetricSpec" not in [m for m, code in zip(edge.methods, edge.codes, strict=True) if code.value[0]]
    assert known.value == 2.0
    assert [reading.value for reading in answered] == [1.0] * 3
    assert later.value == 1.0


async def test_oversized_metadata_is_refused_and_the_server_goes_on() -> None:
    async with running_edge(ScriptedDesk(decided(1.0))) as edge, KedaClient(edge.address) as keda:
        refused = await keda.poll(ref({**METADATA, "query": "x" * 300_000}))
        answered = await keda.poll(ref({**METADATA, "customHeaders": "X-A=" + "b" * 2000}))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert answered.value == 1.0
