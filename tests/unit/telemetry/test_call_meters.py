"""Calls counted by hand are exported as prometheus_client's own counter and histogram would have them."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry, generate_latest

from scaler.telemetry import metrics
from scaler.telemetry.call_meters import CallMeters

CALLS = [
    ("GetMetrics", "OK", 0.0),
    ("GetMetrics", "OK", 0.0005),
    ("GetMetrics", "OK", 0.00051),
    ("GetMetrics", "UNAVAILABLE", 3.0),
    ("GetMetrics", "OK", 9.0),
    ("IsActive", "OK", 5.0),
]


def page(registry: CollectorRegistry) -> str:
    text = generate_latest(registry).decode()
    return "\n".join(sorted(line for line in text.splitlines() if not re.search("_created", line)))


def test_the_page_is_that_of_the_library() -> None:
    registry, theirs = CollectorRegistry(), CollectorRegistry()
    meters = CallMeters(registry)
    counter, histogram = metrics.RPCS.counter(theirs), metrics.RPC_SECONDS.histogram(theirs)
    for method, code, seconds in CALLS:
        meters.count(method, code, seconds)
        counter.labels(method, code).inc()
        histogram.labels(method).observe(seconds)
    assert page(registry) == page(theirs)


def test_streams_are_counted_and_not_timed() -> None:
    registry = CollectorRegistry()
    meters = CallMeters(registry)
    meters.count("StreamIsActive", "CANCELLED", 3600.0)
    text = page(registry)
    assert 'foresail_rpc_total{code="CANCELLED",method="StreamIsActive"} 1.0' in text
    assert "foresail_rpc_seconds_count" not in text
