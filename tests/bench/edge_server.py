"""A gRPC server in a process of its own, for test_keda_edge.py: ours with a desk that costs nothing, or a bare one.

Prints its port, then, for every line that it reads, the CPU seconds it has used so far; ends with its input.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

from grpc import aio

from scaler.decision import Decision, Source
from scaler.keda.encoding import activity, metrics
from scaler.keda.server import KedaServer
from scaler.pb.externalscaler_pb2_grpc import ExternalScalerServicer, add_ExternalScalerServicer_to_server
from scaler.trigger import parse_trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.pb.externalscaler_pb2 import GetMetricsResponse, IsActiveResponse
    from scaler.trigger import TriggerConfig

METADATA = {
    "scalerAddress": "foresail.keda:6000",
    "serverAddress": "http://prometheus.monitoring:9090",
    "query": 'sum(rate(http_requests_total{service="orders"}[2m]))',
    "threshold": "100",
    "activationThreshold": "5",
    "leadTime": "3m",
}
TRIGGER = parse_trigger(namespace="shop", name="orders", metadata=METADATA)
DECISION = Decision(
    value=12.5, active=True, source=Source.OBSERVED, observed=12.5, observed_age=0.0, floor=12.5, would_serve=12.5
)


class ConstantDesk:
    """Any trigger, one decision, at no cost."""

    def trigger(self, namespace: str, name: str, metadata: Mapping[str, str]) -> TriggerConfig:
        del namespace, name, metadata
        return TRIGGER

    def peek(self, trigger: TriggerConfig, *, follows: bool = False) -> Decision | None:
        del trigger, follows
        return DECISION

    async def decision(self, trigger: TriggerConfig, *, follows: bool = False) -> Decision:
        raise NotImplementedError

    async def changed(self, trigger: TriggerConfig) -> None:
        raise NotImplementedError


class Bare(ExternalScalerServicer):
    """What gRPC itself costs: the same requests read, the same answers written, nothing in between."""

    METRICS = metrics(TRIGGER, DECISION)
    ACTIVE = activity(DECISION)

    async def GetMetrics(self, request: object, context: object) -> GetMetricsResponse:  # noqa: N802 - gRPC's name
        del request, context
        return self.METRICS

    async def IsActive(self, request: object, context: object) -> IsActiveResponse:  # noqa: N802 - gRPC's name
        del request, context
        return self.ACTIVE

    def GetMetricSpec(self, request: object, context: object) -> None:  # type: ignore[override] # noqa: N802 - not called
        raise NotImplementedError

    StreamIsActive = StreamMetricSpec = GetMetricSpec  # type: ignore[assignment]


async def main(kind: str) -> None:
    if kind == "bare":
        bare = aio.server()
        add_ExternalScalerServicer_to_server(Bare(), bare)
        port = bare.add_insecure_port("127.0.0.1:0")
        await bare.start()
    else:
        ours = KedaServer(ConstantDesk(), address="127.0.0.1:0", observer=lambda *_: None)
        await ours.start()
        port = ours.port
    print(port, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(time.process_time(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
