"""Fit workers that die, hang, run out of memory: the load is served without a forecast, and the next fit is well."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from scaler.keda.client import KedaClient, ref
from tests.support.defaults import HEADROOM
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Python runs this module in every process; in a fit worker it does what the file says at that moment
FAULTY = """
import os, signal, sys, time
if "scaler.engine.worker" in " ".join(sys.orig_argv):
    with open(os.environ["WORKER_FAULT"]) as file:
        fault = file.read()
    if fault == "dies":
        os._exit(3)
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hangs":
        open(os.environ["WORKER_FAULT"] + "-begun", "w").close()
        time.sleep(3600)
    if fault == "babbles":
        os.write(1, bytes([255]) * 1000)
        time.sleep(3600)
"""
NOTES = {
    "dies": r"[a-z-]+: its worker died \(exit 3\)",
    "killed": r"[a-z-]+: its worker died \(exit -9\)",  # as the kernel does when memory runs out
    "hangs": r"[a-z-]+ did not finish within 3s",
    "babbles": r"[a-z-]+: its worker broke off: a frame of 4294967295 bytes on the local socket: at most 67108864 .*",
}


# a plug-in that forecasts well until a file says otherwise: then it hangs, in C and for ever, or eats memory in its fit
MOODY = """
import os, signal
from dataclasses import dataclass
import numpy as np
from forecasting.forecast import Forecast
from forecasting.serialise import stored_as
@stored_as("moody/1")
@dataclass(frozen=True)
class Fitted:
    context_length = 1
    def predict(self, context, *, horizon, levels):
        while os.path.exists(os.environ["MOOD"]):
            signal.pause()
        flat = np.full((len(levels), horizon), np.nan_to_num(context.values[-1]))
        return Forecast(context.end, context.step, tuple(levels), flat, flat)
@dataclass(frozen=True)
class Moody:
    name = "moody"
    def min_history(self, step):
        return 1
    def fit(self, series, *, horizon, levels):
        if os.path.exists(os.environ["MOOD"]):
            np.ones((100_000, 100_000))
        return Fitted()
"""


@dataclass
class Bench:
    """A server whose fit workers do what the file `fault` says, and triggers of series of their own."""

    server: Server
    fault: Path
    prometheus: str

    def trigger(self, name: str) -> Any:
        query = f"vector({len(name)}) # {name}"
        return ref(
            {
                "serverAddress": self.prometheus,
                "query": query,
                "threshold": "10",
                "forecaster": "naive",
                "queryStep": "15s",
                "historyTimeWindow": "1h",
            },
            name=name,
        )

    def explain(self, name: str) -> dict[str, Any]:
        (found,) = json.loads(self.server.get(f"/api/v1/triggers/shop/{name}/explain"))["triggers"]
        explained: dict[str, Any] = found
        return explained

    async def serves(self, keda: KedaClient, name: str) -> None:
        reading = await keda.poll(self.trigger(name))
        assert reading.ok, reading.text
        assert reading.value == pytest.approx(HEADROOM * len(name))

    async def has_forecast(self, keda: KedaClient, name: str) -> None:
        async def there() -> bool:
            await self.serves(keda, name)
            return self.explain(name)["forecast"] is not None

        await until(there, lambda: f"{name} has no forecast: {self.explain(name)}")

    def fail_next(self, fault: str) -> None:
        """The next fit needs a new worker, which has the fault."""
        self.fault.write_text(fault)
        for worker in self.server.workers():
            os.kill(worker, signal.SIGKILL)


@pytest.fixture
def make_bench(prometheus: Any, make_server: Callable[..., Server], tmp_path: Path) -> Callable[[str], Bench]:
    """Given the setting fit_timeout."""

    def make(fit_timeout: str) -> Bench:
        site, fault = tmp_path / "site", tmp_path / "fault"
        site.mkdir()
        (site / "sitecustomize.py").write_text(FAULTY)
        fault.write_text("")
        server = make_server(prometheus.url.removeprefix("http://"), fit_timeout=fit_timeout)
        server.environment["PYTHONPATH"] = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        server.environment["WORKER_FAULT"] = str(fault)
        return Bench(server, fault, prometheus.url)

    return make


@pytest.mark.chaos  # the suite has each of them at the pool: tests/unit/engine/test_fits.py
async def test_workers_that_fail_cost_a_forecast_and_nothing_else(make_bench: Callable[[str], Bench]) -> None:
    bench = make_bench("3s")
    await bench.server.start()
    async with KedaClient(bench.server.grpc) as keda:
        await bench.has_forecast(keda, "before")
        for name, note in NOTES.items():
            bench.fail_next(name)

            async def blamed(name: str = name, note: str = note) -> bool:
                await bench.serves(keda, name)
                await bench.serves(keda, "before")
                return re.fullmatch(note, bench.explain(name)["note"]) is not None

            await until(blamed, lambda name=name: f"{name} is not told: {bench.explain(name)}")  # type: ignore[misc]
            bench.fault.write_text("")
            await bench.has_forecast(keda, f"after-{name}")
    page = bench.server.get("/metrics")
    lost = re.search(r"^foresail_fit_workers_lost_total ([0-9.]+)", page, re.MULTILINE)
    assert lost
    assert float(lost[1]) >= len(NOTES)
    assert re.search(r'foresail_fits_total{forecaster="naive",outcome="lost"} [1-9]', page)
    assert "foresail_bugs_total{" not in page
    assert "foresail_engine_restarts_total 0.0" in page


async def test_an_engine_killed_in_the_middle_of_a_fit_is_noticed_at_once(make_bench: Callable[[str], Bench]) -> None:
    bench = make_bench("10m")  # the worker outlives it by far
    await bench.server.start()
    workers: list[int] = []
    try:
        async with KedaClient(bench.server.grpc) as keda:
            await bench.serves(keda, "one")
            bench.fail_next("hangs")

            async def fitting() -> bool:
                await bench.serves(keda, "two")
                workers[:] = bench.server.workers()
                return bool(workers) and bench.fault.with_name("fault-begun").exists()

            await until(fitting, lambda: "no fit is begun")
            bench.fault.write_text("")
            bench.server.kill_engine()

            async def replaced() -> bool:
                await bench.serves(keda, "two")
                return "foresail_engine_restarts_total 1.0" in bench.server.get("/metrics")

            await until(replaced, lambda: "the edge does not notice that its engine is gone")
            await bench.has_forecast(keda, "two")
    finally:
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


@pytest.mark.chaos  # the suite has it at the pool and in the engine: tests/unit/engine/test_outsiders.py
async def test_a_plug_in_that_eats_memory_or_hangs_long_after_its_first_forecast_holds_up_nobody(
    prometheus: Any, make_server: Callable[..., Server], tmp_path: Path
) -> None:
    site, mood = tmp_path / "site", tmp_path / "mood"
    installed = site / "moody-1.0.dist-info"
    installed.mkdir(parents=True)
    (site / "moody.py").write_text(MOODY)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[foresail.forecasters]\nmoody = moody:Moody\n")
    server = make_server(prometheus.url.removeprefix("http://"), fit_timeout="5s", fit_memory=str(1 << 30))
    server.environment["PYTHONPATH"] = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    server.environment["MOOD"] = str(mood)
    await server.start()
    async with KedaClient(server.grpc) as keda:

        async def explained(forecaster: str, name: str = "") -> dict[str, Any]:
            name = name or forecaster
            metadata = {
                "serverAddress": prometheus.url,
                "query": f"vector(7) # {name}",
                "threshold": "10",
                "forecaster": forecaster,
                "queryStep": "10s",
                "historyTimeWindow": "2d",
            }
            reading = await keda.poll(ref(metadata, name=name))
            assert reading.ok, reading.text
            assert reading.value == pytest.approx(HEADROOM * 7)
            (found,) = json.loads(server.get(f"/api/v1/triggers/shop/{name}/explain"))["triggers"]
            told: dict[str, Any] = found
            return told

        async def forecasts(forecaster: str, *, by: str) -> bool:
            found = (await explained(forecaster))["forecast"]
            return found is not None and found["model"] == by

        mood.write_text("eat")

        async def starves() -> bool:
            found = await explained("moody", "greedy")
            return str(found["note"]).startswith("moody failed: ") and found["forecast"] is not None

        await until(starves, lambda: f"its memory is not bounded: {server.log.read_text()[-2000:]}")
        assert "MemoryError" in (await explained("moody", "greedy"))["note"]
        mood.unlink()

        async def both() -> bool:
            return await forecasts("moody", by="moody") and await forecasts("naive", by="naive")

        await until(both, lambda: f"they do not both forecast: {server.log.read_text()[-2000:]}")
        mood.write_text("hang")

        async def rests() -> bool:
            assert await forecasts("naive", by="naive")
            found = await explained("moody")
            return str(found["note"]).startswith("moody gave no forecast within 5s: ") and bool(
                found["forecast"]["used"]
            )

        await until(rests, lambda: f"it is not stood in for: {server.log.read_text()[-2000:]}")
        naive = (await explained("naive"))["forecast"]
        assert naive["age"] < 60.0
    page = server.get("/metrics")
    assert "foresail_engine_restarts_total 0.0" in page
    assert "foresail_bugs_total{" not in page
