"""The main job, end to end: a real Prometheus with weeks of a real load, the server as users start it, KEDA's calls."""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import TYPE_CHECKING, Any

import grpc
import msgspec
import numpy as np
import pytest

from forecasting.premium import CHOICES
from forecasting.registry import default_registry
from forecasting.serialise import loads
from forecasting.series import TimeSeries
from scaler.decision import Snapshot
from scaler.decision.reading import levels_for, weights_at
from scaler.engine.modelling import Kept
from scaler.engine.state import ModelKey
from scaler.keda.client import KedaClient, ref
from scaler.store.sqlite import SqliteStore
from scaler.trigger import parse_trigger
from tests.support.defaults import HEADROOM
from tests.support.server import Server, until
from tests.support.traces import read_trace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from scaler.keda.client import Reading

STEP = 60
LOOK_BACK = 300  # seconds: how far Prometheus looks back for a sample
THRESHOLD = 13.5
LEAD_TIME = 180.0
ASKING_DELAY = 45.0
HORIZON = 9  # steps: lead time, delay of asking, margin, and the 90 s for which the servers of tests serve a forecast
MARGIN = 180  # seconds, of the settings
WINDOW = 14 * 86400  # seconds: the default historyTimeWindow
QUERY = "sum(load)"


@pytest.fixture
def load() -> TimeSeries:
    """Three weeks of a real load, moved so that its last sample is the last complete minute."""
    trace = read_trace("nasa_http_jul95_21d")
    return TimeSeries(int(time.time()) // STEP * STEP - (len(trace) - 1) * STEP, STEP, trace.values)


@pytest.fixture
def prometheus(load: TimeSeries, prometheus_server: Any) -> Any:
    # a sample every 60 s and a look-back of five minutes: the query goes on answering for the test's few minutes
    known = ~np.isnan(load.values)
    samples = zip(load.times()[known].tolist(), load.values[known].tolist(), strict=True)
    return prometheus_server([("load", {"pod": "web"}, list(samples))])


@pytest.fixture
def observed_max_age() -> float:
    """Seconds; a test that waits for it to pass makes it shorter."""
    return 300.0


@pytest.fixture
def server(tmp_path: Path, prometheus: Any, observed_max_age: float) -> Iterator[Server]:
    one = Server(tmp_path, prometheus.url, observed_max_age=f"{observed_max_age:g}s")
    yield one
    one.kill()


@pytest.fixture
async def keda(server: Server) -> AsyncIterator[KedaClient]:
    await server.start()
    async with KedaClient(server.grpc) as client:
        yield client


def metadata(prometheus: Any) -> dict[str, str]:
    """The shortest ScaledObject that works."""
    return {
        "scalerAddress": "foresail.foresail:6000",
        "serverAddress": prometheus.url,
        "query": QUERY,
        "threshold": f"{THRESHOLD:g}",
    }


async def forecast_served(server: Server, keda: KedaClient, trigger: Any) -> Reading:
    """Calls as KEDA does until the forecast takes part in the answers."""
    last: list[Reading] = []

    async def served() -> bool:
        last.append(await keda.poll(trigger))
        forecast = server.explain()["forecast"]
        return bool(forecast and forecast["used"])

    await until(served, lambda: f"no forecast is served: {server.log.read_text()[-3000:]}")
    return last[-1]


def as_prometheus_sees(load: TimeSeries, *, until: int) -> TimeSeries:
    """The samples on the grid as a range query gives them: a missing one is the last one of the five minutes before."""
    values = np.append(load.values, np.full((until - load.end) // STEP, np.nan))
    for n in np.flatnonzero(np.isnan(values)):
        recent = values[max(0, n - LOOK_BACK // STEP + 1) : n]
        known = recent[~np.isnan(recent)]
        values[n] = known[-1] if len(known) else np.nan
    return TimeSeries(load.start, STEP, values)


def independently(
    server: Server, load: TimeSeries, given: dict[str, str], *, origin: int, quantile: float, level: float
) -> list[float]:
    """The peak over each horizon read at this level, from the stored model and the samples that were put in."""
    series_id = parse_trigger(namespace="shop", name="web", metadata=given).series_id
    store = SqliteStore(server.store)
    default_registry()
    key = ModelKey(forecaster="auto", window=WINDOW // STEP, horizon=HORIZON, steps=7)
    stored = store.model(series_id, key.stored_name)
    store.close()
    assert stored is not None
    fitted = loads(msgspec.msgpack.decode(stored.data, type=Kept).data)
    context = as_prometheus_sees(load, until=origin).last(WINDOW // STEP + 1).last(fitted.context_length)
    knots = levels_for(quantile)
    forecast = fitted.predict(context, horizon=HORIZON, levels=sorted({0.5, 0.9, 0.95, 0.99, *knots}))
    around = forecast.peak[[forecast.levels.index(knot) for knot in knots]]
    offset = math.log(level / (1 - level)) - math.log(quantile / (1 - quantile))
    peak: list[float] = (np.array(weights_at(offset, quantile)) @ around).tolist()
    return peak


async def test_keda_is_answered_with_the_load_of_the_near_future(
    server: Server, keda: KedaClient, prometheus: Any, load: TimeSeries
) -> None:
    given = metadata(prometheus)
    trigger = ref(given)

    first = await keda.poll(trigger)
    assert first.ok, first.text
    assert first.target == THRESHOLD
    assert first.value == pytest.approx(HEADROOM * load.values[-1])  # cold start is plain KEDA with headroom

    await forecast_served(server, keda, trigger)
    (reading,) = await keda.sync([trigger])
    explained = server.explain()
    origin = round(time.time() - explained["forecast"]["age"])
    origin -= origin % STEP
    quantile = explained["forecast"]["quantile"]
    assert quantile in CHOICES
    level = explained["gate"]["level"]
    peaks = independently(server, load, given, origin=origin, quantile=quantile, level=level)
    steps = math.ceil((time.time() + LEAD_TIME + ASKING_DELAY + MARGIN - origin) / STEP)
    possible = {peaks[steps - 1], peaks[steps - 2]}  # the call was a moment ago, perhaps on the other side of a step
    assert explained["forecast"]["peak"] in [pytest.approx(peak, rel=1e-9) for peak in possible]
    assert reading.value == pytest.approx(max(HEADROOM * load.values[-1], explained["forecast"]["peak"]), rel=1e-9)
    assert reading.active is True
    assert reading.replicas == math.ceil(reading.value / THRESHOLD)


@pytest.mark.parametrize("observed_max_age", [6.0])
async def test_without_prometheus_the_answer_degrades_step_by_step_and_heals(
    server: Server, keda: KedaClient, prometheus: Any, load: TimeSeries
) -> None:
    trigger = ref(metadata(prometheus))
    healthy = await forecast_served(server, keda, trigger)

    prometheus.stop()

    # 1. the last value is still good, with its age shown: nothing changes for KEDA
    async def failing() -> bool:
        return bool(server.explain()["source_error"])

    await until(failing, lambda: "the outage is not noticed")
    explained = server.explain()
    assert explained["observed"]["value"] == load.values[-1]
    assert prometheus.url.removeprefix("http://") in explained["source_error"]

    # 2. the value is too old: both calls fail with UNAVAILABLE, and say why; the spec is still answered
    async def unavailable() -> bool:
        return (await keda.poll(trigger)).code is grpc.StatusCode.UNAVAILABLE

    await until(unavailable, lambda: "the answer never becomes UNAVAILABLE")
    refused = await keda.poll(trigger)
    assert refused.text.startswith("the load is not known: the last value is ")
    assert " old, older than the 6s that a value is good for: " in refused.text
    (spec,) = await keda.specs_only([trigger])
    assert spec.targetSizeFloat == THRESHOLD
    assert json.loads(server.get("/readyz"))["ready"] is True  # we can answer; the world is not well

    # 3. Prometheus is back: so are we, without anybody's help
    prometheus.start()

    async def healed() -> bool:
        return (await keda.poll(trigger)).ok

    await until(healed, lambda: "no recovery")
    recovered = await keda.poll(trigger)
    assert recovered.value > 0
    assert recovered.target == healthy.target
    assert 'foresail_source_errors_total{kind="SourceUnreachable"' in server.get("/metrics")


async def test_after_sigkill_the_first_answer_comes_from_the_store(
    server: Server, keda: KedaClient, prometheus: Any, load: TimeSeries
) -> None:
    trigger = ref(metadata(prometheus))
    await forecast_served(server, keda, trigger)

    def stored() -> list[tuple[str, bytes]]:
        store = SqliteStore(server.store)
        try:
            return list(store.snapshots())
        finally:
            store.close()

    async def on_disk() -> bool:
        return any(msgspec.msgpack.decode(data, type=Snapshot).outlook is not None for _, data in stored())

    await until(on_disk, lambda: "the snapshot with the forecast never reached the store")
    server.kill()
    prometheus.stop()  # no source: what is answered now can only come from the store
    await server.start()
    async with KedaClient(server.grpc) as client:
        reading = await client.poll(trigger)
        assert reading.ok, reading.text
        assert reading.value >= HEADROOM * load.values[-1] - 1e-9


async def test_sigterm_drains_and_exits_cleanly(server: Server, keda: KedaClient, prometheus: Any) -> None:
    trigger = ref(metadata(prometheus))
    assert (await keda.poll(trigger)).ok
    stream = keda.push(trigger)
    first = await anext(aiter(stream))
    assert first.result is True
    assert await asyncio.to_thread(server.terminate) == 0
    assert await stream.code() is grpc.StatusCode.OK
    events = [line["event"] for line in server.lines()]
    assert events.index("draining") < events.index("stopped")
    assert "engine.lost" not in events


async def test_an_engine_that_dies_is_replaced_and_nobody_notices(
    server: Server, keda: KedaClient, prometheus: Any
) -> None:
    trigger = ref(metadata(prometheus))
    await forecast_served(server, keda, trigger)
    server.kill_engine()
    for _ in range(20):
        assert (await keda.poll(trigger)).ok

    async def restarted() -> bool:
        return "foresail_engine_restarts_total 1.0" in server.get("/metrics")

    await until(restarted, lambda: "the loss of the engine is not counted")
