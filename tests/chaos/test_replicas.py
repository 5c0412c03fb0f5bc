"""Two replicas, real processes, one of them late, killed, restarted, cut off from the source: the same samples give the
same answers, bit for bit.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from scaler.keda.client import KedaClient, ref
from scaler.pb.externalscaler_pb2 import GetMetricsRequest
from tests.support.faults import FAILING
from tests.support.faulty_proxy import faulty_proxy
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = 15
FORECASTERS = ("naive", "seasonal-naive", "seasonal-profile")
# the same for all of a step, so that two looks within it see the same
QUERY = (
    f"100 + 40 * sin(floor(vector(time()) / {STEP}) * {STEP} / 13751) + 20 * sin(floor(vector(time()) / {STEP}) / 5)"
)
COMPARISONS = 20  # of each forecaster, after each thing that befell them
OUTAGE = 20.0  # seconds


@dataclass
class Replica:
    server: Server
    keda: KedaClient

    async def answer(self, trigger: Any) -> tuple[bytes, bool]:
        """GetMetrics as it goes over the wire, and IsActive."""
        response = await self.keda.stub.GetMetrics(GetMetricsRequest(scaledObjectRef=trigger))
        active = await self.keda.stub.IsActive(trigger)
        return response.SerializeToString(), active.result

    def basis(self, name: str) -> tuple[Any, ...] | None:
        """Which samples an answer is made from: the observed value, the forecast's origin, and what older fits taught.

        A replica that was just started makes up for the tests that it has missed within seconds, here; until then it
        reads its forecasts otherwise.
        """
        (told,) = json.loads(self.server.get(f"/api/v1/triggers/shop/{name}/explain"))["triggers"]
        if told["forecast"] is None or told["observed"] is None or not told["forecast"]["used"]:
            return None
        level = told["gate"]["level"]
        return told["observed"]["value"], round(time.time() - told["forecast"]["age"]), level


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_replicas_agree_bit_for_bit_whatever_befell_them(
    prometheus: Any, make_server: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    async with faulty_proxy(prometheus.url) as proxy:

        def trigger(forecaster: str) -> Any:
            return ref(
                {
                    "serverAddress": proxy.address("shared"),
                    "query": QUERY,
                    "threshold": "10",
                    "headroom": "1",
                    "leadTime": "60s",
                    "forecaster": forecaster,
                    "queryStep": f"{STEP}s",
                    "historyTimeWindow": "2d",
                },
                name=forecaster,
            )

        async def up(server: Server) -> Replica:
            await server.start()
            replica = Replica(server, KedaClient(server.grpc))
            for forecaster in FORECASTERS:
                await until(
                    lambda forecaster=forecaster: _forecast(replica, trigger(forecaster), forecaster),  # type: ignore[misc]
                    lambda: f"no forecast: {server.log.read_text()[-2000:]}",
                )
            return replica

        steady, other = make_server(proxy.host), make_server(proxy.host)
        first = await up(steady)
        second = await up(other)  # late
        compared = await _compare(first, second, trigger)
        other.kill()
        await second.keda.channel.close()
        second = await up(other)  # from its store
        compared += await _compare(first, second, trigger)
        other.kill_engine()
        proxy.faults["shared"] = next(fault.fault for fault in FAILING if fault.name == "unavailable")
        await asyncio.sleep(OUTAGE)  # a fault of the source that both see, one of them with a new engine
        proxy.faults = {}
        compared += await _compare(first, second, trigger)
        for replica in (first, second):
            await replica.keda.channel.close()
    with capsys.disabled():
        print(f"\nreplicas: {compared} answers compared bit for bit, all equal")  # noqa: T201  # the count for docs/benchmarks.md


async def _forecast(replica: Replica, trigger: Any, name: str) -> bool:
    return (await replica.keda.poll(trigger)).ok and replica.basis(name) is not None


async def _compare(first: Replica, second: Replica, trigger: Callable[[str], Any]) -> int:
    """Compares answers while both have seen the same; a replica may take a look a moment before the other."""
    equal = dict.fromkeys(FORECASTERS, 0)

    async def enough() -> bool:
        for name in FORECASTERS:
            before = first.basis(name), second.basis(name)
            answers = await asyncio.gather(first.answer(trigger(name)), second.answer(trigger(name)))
            after = first.basis(name), second.basis(name)
            if before == after and before[0] == before[1] is not None:
                assert answers[0] == answers[1], f"{name}: {before}"
                equal[name] += 1
        return min(equal.values()) >= COMPARISONS

    await until(enough, lambda: f"the replicas never see the same: only {equal} answers could be compared")
    return sum(equal.values())
