"""The main job, end to end: a real Prometheus with weeks of a real load, the server as users start it, KEDA's calls."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import msgspec
import numpy as np
import pytest

from forecasting.registry import default_registry
from forecasting.serialise import loads
from forecasting.series import TimeSeries
from scaler.engine.modelling import Kept
from scaler.keda.client import KedaClient, ref
from scaler.store.sqlite import SqliteStore
from scaler.trigger import parse_trigger
from tests.support.traces import read_trace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from scaler.keda.client import Reading

STEP = 60
LOOK_BACK = 300  # seconds: how far Prometheus looks back for a sample
THRESHOLD = 13.5
LEAD_TIME = 180.0
ASKING_DELAY = 45.0
HEADROOM = 1.2
FORECAST_MAX_AGE = 90.0
PATIENCE = 90.0
QUERY = "sum(load)"


class Server:
    """`foresail serve` as a user starts it."""

    def __init__(self, directory: Path, prometheus: str, *, observed_max_age: float) -> None:
        self._directory = directory
        self._observed_max_age = observed_max_age
        self._allow = prometheus.removeprefix("http://")
        self._process: subprocess.Popen[bytes] | None = None
        self.grpc = ""
        self.http = ""

    @property
    def store(self) -> Path:
        return self._directory / "data" / "foresail.db"

    @property
    def log(self) -> Path:
        return self._directory / "server.log"

    async def start(self) -> None:
        self.log.write_bytes(b"")
        (self._directory / "foresail.toml").write_text(
            f'observe_interval = "1s"\nobserved_max_age = "{self._observed_max_age:g}s"\n'
            f'forecast_max_age = "{FORECAST_MAX_AGE:g}s"\nlog_format = "json"\n'
            'first_answer_wait = "25s"\nrpc_deadline = "30s"\n'  # the machine may be busy: what is shown is not speed
        )
        await asyncio.to_thread(self._spawn)
        await until(self._serving, lambda: f"the server does not serve: {self.log.read_text()[-3000:]}")

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "scaler", "serve"),
                    *("--config", str(self._directory / "foresail.toml")),
                    *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
                    *("--data-dir", str(self._directory / "data"), "--allow-address", self._allow),
                ],
                stderr=log,
            )

    async def _serving(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the server has ended: {self.log.read_text()[-3000:]}"
        for line in self.lines():
            if line.get("event") == "serving":
                self.grpc, self.http = line["grpc"], f"http://{line['http']}"
                return True
        return False

    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.http}{path}", timeout=10) as response:  # noqa: S310 -- our own server
            text: str = response.read().decode()
            return text

    def explain(self) -> dict[str, Any]:
        """Why the one trigger of shop/web answers what it does."""
        (explained,) = json.loads(self.get("/api/v1/triggers/shop/web/explain"))["triggers"]
        found: dict[str, Any] = explained
        return found

    def kill(self) -> None:
        """What an out-of-memory kill does. The engine, a child, must notice by itself."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE)
            self._process = None

    def kill_engine(self) -> None:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        (engine,) = [
            int(child) for child in children if b"scaler.engine.process" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
        os.kill(engine, signal.SIGKILL)

    def terminate(self) -> int:
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(PATIENCE)
        self._process = None
        return code


async def until(condition: Callable[[], Any], failure: Callable[[], str]) -> None:
    """Asks again until the condition holds, within a bounded time."""
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, failure()
        await asyncio.sleep(0.1)


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
    one = Server(tmp_path, prometheus.url, observed_max_age=observed_max_age)
    yield one
    one.kill()


@pytest.fixture
async def keda(server: Server) -> AsyncIterator[KedaClient]:
    await server.start()
    async with KedaClient(server.grpc) as client:
        yield client


def metadata(prometheus: Any) -> dict[str, str]:
    """The shortest ScaledObject that works, with a forecaster that this test can run by itself."""
    return {
        "scalerAddress": "foresail.foresail:6000",
        "serverAddress": prometheus.url,
        "query": QUERY,
        "threshold": f"{THRESHOLD:g}",
        "forecaster": "seasonal-profile",
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


def independently(server: Server, load: TimeSeries, given: dict[str, str], *, origin: int) -> list[float]:
    """The 0.9-quantile of the peak over each horizon, from the stored model and the samples that were put in."""
    series_id = parse_trigger(namespace="shop", name="web", metadata=given).series_id
    store = SqliteStore(server.store)
    default_registry()
    stored = store.model(series_id, "seasonal-profile")
    store.close()
    assert stored is not None
    fitted = loads(msgspec.msgpack.decode(stored.data, type=Kept).data)
    context = as_prometheus_sees(load, until=origin).last(fitted.context_length)
    peak: list[float] = fitted.predict(context, horizon=8, levels=[0.5, 0.9, 0.95, 0.99]).peak[1].tolist()
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
    peaks = independently(server, load, given, origin=origin)
    steps = math.ceil((time.time() + LEAD_TIME + ASKING_DELAY - origin) / STEP)
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
        return b"seasonal-profile" in b"".join(data for _, data in stored())

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
