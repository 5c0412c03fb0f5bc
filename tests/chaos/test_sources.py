"""The faults of a source, all at once, each in a lane of its own, between a real Prometheus and a real server.

While the last value is young it stands; then the answer is UNAVAILABLE, with the reason in words; then all heals.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc import aio

from scaler.keda.client import KedaClient, ref
from tests.support.defaults import HEADROOM
from tests.support.faults import FAILING, HARMLESS, SourceFault
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.keda.client import Reading

QUERY = "vector(42)"
STEP = 15
MAX_AGE = 10.0
SETTINGS = {
    "observe_interval": "1s",
    "observed_max_age": f"{MAX_AGE:g}s",
    "max_response_bytes": "65536",
}
ALL = (*FAILING, *HARMLESS)


class Drill:
    """The server under test, and what KEDA sees of each lane."""

    def __init__(self, server: Server, keda: KedaClient, proxy: FaultyProxy) -> None:
        self.server = server
        self.keda = keda
        self.proxy = proxy

    def trigger(self, fault: SourceFault) -> Any:
        metadata = {
            "serverAddress": self.proxy.address(fault.name),
            "query": QUERY,
            "threshold": "10",
            "forecaster": "naive",
            "queryStep": f"{STEP}s",
            "historyTimeWindow": "1h",
        }
        return ref(metadata | dict(fault.metadata), namespace="chaos", name=fault.name)

    async def poll(self, fault: SourceFault) -> Reading:
        return await self.keda.poll(self.trigger(fault))

    def explain(self, fault: SourceFault) -> dict[str, Any]:
        (found,) = json.loads(self.server.get(f"/api/v1/triggers/chaos/{fault.name}/explain"))["triggers"]
        explained: dict[str, Any] = found
        return explained

    def expected(self, fault: SourceFault) -> re.Pattern[str]:
        """The error's text."""
        shown = fault.text.replace("{tries}", "<tries>").format(
            source=f"source {self.proxy.address(fault.name)}", query=repr(QUERY)
        )
        return re.compile(re.escape(shown).replace("<tries>", r"tried [2-4] times"))

    async def all_answer(self, faults: tuple[SourceFault, ...]) -> None:
        """Each answers with the true load, and no error."""

        async def answered(fault: SourceFault) -> bool:
            reading = await self.poll(fault)
            return (
                reading.ok and reading.value == pytest.approx(HEADROOM * 42) and not self.explain(fault)["source_error"]
            )

        for fault in faults:
            await until(lambda fault=fault: answered(fault), lambda fault=fault: self._state(fault))  # type: ignore[misc]

    async def forecast(self, faults: tuple[SourceFault, ...]) -> None:
        """Each has a forecast."""

        async def there(fault: SourceFault) -> bool:
            return self.explain(fault)["forecast"] is not None

        for fault in faults:
            await until(lambda fault=fault: there(fault), lambda fault=fault: self._state(fault))  # type: ignore[misc]

    async def all_caught_up(self, faults: tuple[SourceFault, ...]) -> None:
        """Each forecasts from the newest samples again: those that came late have been fetched."""

        async def young(fault: SourceFault) -> bool:
            forecast = self.explain(fault)["forecast"]
            return forecast is not None and forecast["age"] < 3 * STEP

        for fault in faults:
            await until(lambda fault=fault: young(fault), lambda fault=fault: self._state(fault))  # type: ignore[misc]

    def _state(self, fault: SourceFault) -> str:
        return f"{fault.name}: {self.explain(fault)} {self.server.log.read_text()[-2000:]}"


async def test_every_fault_of_a_source_is_answered_as_designed_and_heals(
    prometheus: Any, make_server: Callable[..., Server]
) -> None:
    async with faulty_proxy(prometheus.url) as proxy:
        server = make_server(proxy.host, **SETTINGS)
        await server.start()
        async with KedaClient(server.grpc) as keda:
            drill = Drill(server, keda, proxy)
            await drill.all_answer(ALL)
            await drill.forecast(ALL)
            proxy.faults = {fault.name: fault.fault for fault in ALL}
            began = time.monotonic()
            await _the_last_value_stands(drill)
            await _then_it_is_unknown(drill, began)
            await _what_does_no_harm(drill)
            proxy.faults = {}
            await drill.all_answer(ALL)
            await drill.all_caught_up(ALL)
        _all_was_counted_and_nothing_broke(server, proxy)


async def _the_last_value_stands(drill: Drill) -> None:
    """While it is young: KEDA notices nothing, the explanation says what is wrong."""
    seen: dict[str, str] = {}

    async def noticed() -> bool:
        for fault in FAILING:
            if fault.name in seen:
                continue
            explained = drill.explain(fault)
            if not explained["source_error"]:
                continue
            seen[fault.name] = explained["source_error"]
            reading = await drill.poll(fault)
            age = explained["observed"]["age"]
            if age < MAX_AGE / 2:  # else the machine was away for a moment, and the value may be too old by now
                assert reading.ok, f"{fault.name}: {reading.text}"
                assert reading.value == pytest.approx(HEADROOM * 42), fault.name
        return len(seen) == len(FAILING)

    await until(noticed, lambda: f"not noticed: {[fault.name for fault in FAILING if fault.name not in seen]}")
    wrong = {name: text for name, text in seen.items() if not _expected(drill, name).fullmatch(text)}
    assert not wrong


def _expected(drill: Drill, name: str) -> re.Pattern[str]:
    return next(drill.expected(fault) for fault in FAILING if fault.name == name)


async def _then_it_is_unknown(drill: Drill, began: float) -> None:
    """UNAVAILABLE for both calls, with the age and the cause; the spec is answered all the same."""
    for fault in FAILING:

        async def unavailable(fault: SourceFault = fault) -> bool:
            return (await drill.poll(fault)).code is grpc.StatusCode.UNAVAILABLE

        await until(unavailable, lambda fault=fault: f"{fault.name} is never UNAVAILABLE")  # type: ignore[misc]
        text = (await drill.poll(fault)).text
        told = re.fullmatch(
            r"the load is not known: the last value is (?:(\d+)m)?(?:(\d+)s)? old, "
            rf"older than the {MAX_AGE:g}s that a value is good for: (.*)",
            text,
        )
        assert told, f"{fault.name}: {text}"
        age = 60 * int(told[1] or 0) + int(told[2] or 0)
        assert MAX_AGE <= age <= time.monotonic() - began + 3.0, fault.name
        assert drill.expected(fault).fullmatch(told[3]), f"{fault.name}: {told[3]}"
        with pytest.raises(aio.AioRpcError) as caught:
            await drill.keda.stub.IsActive(drill.trigger(fault))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        (spec,) = await drill.keda.specs_only([drill.trigger(fault)])
        assert spec.targetSizeFloat == 10.0
    assert json.loads(drill.server.get("/readyz"))["ready"] is True  # we can answer; the world is not well
    assert json.loads(drill.server.get("/healthz"))["alive"] is True


async def _what_does_no_harm(drill: Drill) -> None:
    for fault in HARMLESS:
        reading = await drill.poll(fault)
        assert reading.ok, f"{fault.name}: {reading.text}"
        assert reading.value == pytest.approx(HEADROOM * 42), fault.name
        explained = drill.explain(fault)
        assert not explained["source_error"], fault.name
        warning = fault.warning.format(source=f"source {drill.proxy.address(fault.name)}")
        assert explained["warning"] == warning, fault.name
        assert drill.proxy.injected[fault.name] > 0


def _all_was_counted_and_nothing_broke(server: Server, proxy: FaultyProxy) -> None:
    page = server.get("/metrics")
    for kind in {fault.kind for fault in FAILING}:
        assert re.search(rf'foresail_source_errors_total{{kind="{kind}",request="instant"}} [1-9]', page), kind
    assert "foresail_bugs_total{" not in page
    assert "foresail_engine_restarts_total 0.0" in page
    events = {line["event"] for line in server.lines()}
    assert not events & {"engine.bug", "engine.lost", "engine.failed", "web.bug"}
    assert set(proxy.injected) == {fault.name for fault in ALL}
