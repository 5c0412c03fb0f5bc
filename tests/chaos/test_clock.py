"""This machine's clock is set while the server runs, both ways and over the hours of daylight saving.

The load is the time itself, as a real Prometheus counts it: each answer tells of which moment it is.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from scaler.keda.client import KedaClient, ref
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from scaler.keda.client import Reading

pytestmark = pytest.mark.chaos

# Python runs this module in every process of the server: its wall clock is ahead of ours by what the file says
STEPPED = """
import os, time
real = time.time
def stepped():
    with open(os.environ["CLOCK_AHEAD"]) as file:
        return real() + float(file.read())
time.time = stepped
"""
MAX_AGE = 60.0
SLACK = 2.0  # seconds: whole seconds are asked for, and an answer takes its time
TEN_MINUTES = 600.0
LEAPS = [datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)]  # of Europe/Berlin


@dataclass
class Bench:
    server: Server
    keda: KedaClient
    file: Path
    trigger: Any
    ahead: float = 0.0
    readings: list[Reading] = field(default_factory=list)

    def now(self) -> float:
        """By the server's clock."""
        return time.time() + self.ahead

    def step(self, ahead: float) -> None:
        self.ahead = ahead
        new = self.file.with_suffix(".new")
        new.write_text(str(ahead))
        new.rename(self.file)
        self.readings.clear()

    async def poll(self) -> Reading:
        reading = await self.keda.poll(self.trigger)
        self.readings.append(reading)
        assert reading.code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE), reading.text
        return reading

    async def of_now(self) -> bool:
        """Whether the answer is of this moment."""
        before = self.now()
        reading = await self.poll()
        return reading.ok and before - 5 * SLACK <= reading.value <= self.now() + SLACK

    async def heals(self) -> None:
        await until(self.of_now, lambda: f"not of now, {self.now()}: {self.readings[-1]}")


@pytest.fixture
async def bench(prometheus: Any, make_server: Callable[..., Server], tmp_path: Path) -> AsyncIterator[Bench]:
    site, file = tmp_path / "site", tmp_path / "ahead"
    site.mkdir()
    (site / "sitecustomize.py").write_text(STEPPED)
    file.write_text("0.0")
    allow = prometheus.url.removeprefix("http://")
    server = make_server(allow, observe_interval="1s", observed_max_age=f"{MAX_AGE:g}s")
    server.environment["PYTHONPATH"] = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    server.environment["CLOCK_AHEAD"] = str(file)
    metadata = {
        "serverAddress": prometheus.url,
        "query": "vector(time())",
        "threshold": "10",
        "mode": "observe",
        "forecaster": "naive",
        "queryStep": "15s",
        "historyTimeWindow": "1h",
        "timeZone": "Europe/Berlin",
    }
    await server.start()
    async with KedaClient(server.grpc) as keda:
        one = Bench(server, keda, file, ref(metadata))
        await one.heals()
        yield one
    page = server.get("/metrics")
    assert "foresail_engine_restarts_total 0.0" in page
    assert "foresail_bugs_total{" not in page


async def test_the_clock_is_set_ahead_and_back_again(bench: Bench) -> None:
    bench.step(TEN_MINUTES)
    await bench.heals()
    # what was known is too old by the new clock: it is not served as of now
    assert not [one for one in bench.readings[:-1] if one.ok and abs(bench.now() - one.value) > MAX_AGE]
    bench.step(0.0)
    await bench.heals()
    # what was known a moment ago is as young as it was: no call is lost
    assert all(one.ok for one in bench.readings)


async def test_daylight_saving_begins_and_ends_under_a_running_server(bench: Bench) -> None:
    for leap in LEAPS:
        bench.step(leap.timestamp() - time.time() - 5.0)
        await bench.heals()
        bench.readings.clear()

        async def is_over(leap: datetime = leap) -> bool:
            assert (await bench.poll()).ok, bench.readings[-1].text
            return bench.now() > leap.timestamp() + 3.0

        await until(is_over, lambda: "the hour never passed")
        assert await bench.of_now()
