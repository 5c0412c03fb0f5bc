"""Fit workers that die, hang, run out of memory: the load is served without a forecast, and the next fit is well."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from scaler.keda.client import KedaClient, ref
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


async def test_workers_that_fail_cost_a_forecast_and_nothing_else(
    prometheus: Any, make_server: Callable[..., Server], tmp_path: Path
) -> None:
    fault = tmp_path / "fault"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(FAULTY)
    server = make_server(prometheus.url.removeprefix("http://"), fit_timeout="3s")
    server.environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    server.environment["WORKER_FAULT"] = str(fault)
    fault.write_text("")
    await server.start()

    def trigger(name: str) -> Any:
        query = f"vector({len(name)}) # {name}"  # a series of its own
        return ref(
            {
                "serverAddress": prometheus.url,
                "query": query,
                "threshold": "10",
                "forecaster": "naive",
                "queryStep": "15s",
                "historyTimeWindow": "1h",
            },
            name=name,
        )

    def explain(name: str) -> dict[str, Any]:
        (found,) = json.loads(server.get(f"/api/v1/triggers/shop/{name}/explain"))["triggers"]
        explained: dict[str, Any] = found
        return explained

    async with KedaClient(server.grpc) as keda:

        async def serves(name: str) -> None:
            reading = await keda.poll(trigger(name))
            assert reading.ok, reading.text
            assert reading.value == pytest.approx(1.2 * len(name))

        async def has_forecast(name: str) -> None:
            async def there() -> bool:
                await serves(name)
                return explain(name)["forecast"] is not None

            await until(there, lambda: f"{name} has no forecast: {explain(name)}")

        await has_forecast("before")
        for name, note in NOTES.items():
            fault.write_text(name)
            for worker in server.workers():
                os.kill(worker, signal.SIGKILL)  # the next fit needs a new one, which has the fault

            async def blamed(name: str = name, note: str = note) -> bool:
                await serves(name)
                await serves("before")
                return re.fullmatch(note, explain(name)["note"]) is not None

            await until(blamed, lambda name=name: f"{name} is not told: {explain(name)}")  # type: ignore[misc]
            fault.write_text("")
            await has_forecast(f"after-{name}")
    page = server.get("/metrics")
    lost = re.search(r"^foresail_fit_workers_lost_total ([0-9.]+)", page, re.MULTILINE)
    assert lost
    assert float(lost[1]) >= len(NOTES)
    assert re.search(r'foresail_fits_total{forecaster="naive",outcome="lost"} [1-9]', page)
    assert "foresail_bugs_total{" not in page
    assert "foresail_engine_restarts_total 0.0" in page
