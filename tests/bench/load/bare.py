"""What gRPC itself costs: a grpcio server that answers KEDA's calls with constants, in a process of its own.

Prints its port, runs until its input ends.
"""

from __future__ import annotations

import asyncio
import sys

from grpc import aio

from scaler.pb.externalscaler_pb2 import (
    GetMetricSpecResponse,
    GetMetricsResponse,
    IsActiveResponse,
    MetricSpec,
    MetricValue,
)
from scaler.pb.externalscaler_pb2_grpc import ExternalScalerServicer, add_ExternalScalerServicer_to_server

_NAME = "foresail-sum-rate-http-requests-total-01234567"


class Bare(ExternalScalerServicer):
    """The same requests read, answers of the same size written, nothing in between."""

    SPEC = GetMetricSpecResponse(metricSpecs=[MetricSpec(metricName=_NAME, targetSize=50, targetSizeFloat=50.0)])
    METRICS = GetMetricsResponse(metricValues=[MetricValue(metricName=_NAME, metricValue=13, metricValueFloat=12.5)])
    ACTIVE = IsActiveResponse(result=True)

    async def GetMetricSpec(self, request: object, context: object) -> GetMetricSpecResponse:  # noqa: N802 - gRPC's name
        del request, context
        return self.SPEC

    async def GetMetrics(self, request: object, context: object) -> GetMetricsResponse:  # noqa: N802 - gRPC's name
        del request, context
        return self.METRICS

    async def IsActive(self, request: object, context: object) -> IsActiveResponse:  # noqa: N802 - gRPC's name
        del request, context
        return self.ACTIVE

    def StreamIsActive(self, request: object, context: object) -> None:  # type: ignore[override] # noqa: N802 - not called
        raise NotImplementedError

    StreamMetricSpec = StreamIsActive  # type: ignore[assignment]


async def main() -> None:
    """Serves."""
    server = aio.server()
    add_ExternalScalerServicer_to_server(Bare(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
