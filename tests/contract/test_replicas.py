"""KEDA may ask any replica: those that saw the same samples give the same answer, bit for bit, over the wire."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from scaler.keda.client import ref
from scaler.pb.externalscaler_pb2 import GetMetricsRequest
from tests.support.whole_server import NOW, STEP, serving

LOAD = 100.0 + 60.0 * np.sin(np.arange(2 * 1440) / 1440 * 2 * np.pi) + np.random.default_rng(7).normal(0, 3, 2 * 1440)


@dataclass
class Clock:
    now: float

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("forecaster", "earlier"),
    [
        ("naive", 480 * STEP),
        ("seasonal-profile", 480 * STEP),
        ("seasonal-naive", 10 * STEP),
    ],
)
async def test_replicas_agree_bit_for_bit(forecaster: str, earlier: float) -> None:
    metadata = {"serverAddress": "http://prometheus:9090", "query": "q", "threshold": "10", "forecaster": forecaster}
    trigger = ref(metadata | {"historyTimeWindow": "1d", "headroom": "1"})

    # one has been up for hours and has fitted again meanwhile, one was started a few minutes ago
    answers = []
    for up_for in (earlier, 9.3 * STEP):
        clock = Clock(NOW - up_for)
        async with serving(LOAD, clock=clock) as server:
            await server.keda.poll(trigger)
            await server.engine.settle()
            while (due := server.engine.next_due()) is not None and due < NOW + 14.5:
                clock.now = max(clock.now, due)
                server.engine.start_due()
                await server.engine.settle()
            clock.now = NOW + 14.5
            answers.append(await server.keda.stub.GetMetrics(GetMetricsRequest(scaledObjectRef=trigger)))
    assert answers[0].SerializeToString() == answers[1].SerializeToString()
    assert answers[0].metricValues[0].metricValueFloat >= LOAD[-1]
