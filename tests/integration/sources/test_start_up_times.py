"""Start-up times out of kube-state-metrics' series, by a real Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from scaler.engine.start_up import start_up_times
from scaler.errors import NoData
from scaler.sources.address import AddressPolicy
from scaler.sources.base import SourceSpec
from scaler.sources.factory import SourcePool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scaler.sources.base import MetricSource
    from tests.integration.conftest import MakePrometheus

NOW = int(time.time()) // 60 * 60
DAY = 86400
LETTERS = "bcdfghjklmnpqrstvwxz2456789"

Series = tuple[str, dict[str, str], list[tuple[float, float]]]


def pod(
    number: int,
    *,
    takes: float,
    age: float,
    workload: str = "web-7c9fdc8d5b",
    namespace: str = "shop",
    lives: float = 1800.0,
    scraper: str = "a",
    relapse: float | None = None,
) -> list[Series]:
    """A pod as kube-state-metrics shows it at scrapes every 30 s: its creation always, its readiness while it is."""
    name = f"{workload}-xxx{LETTERS[number // 27]}{LETTERS[number % 27]}"
    labels = {"namespace": namespace, "pod": name, "uid": f"{namespace}-{name}", "instance": scraper}
    created = NOW - age
    scrapes = [created + 7.0 + 30.0 * n for n in range(int(min(lives, age) // 30))]
    ready: list[tuple[float, float]] = []
    for at in scrapes:
        since = created + takes
        if relapse is not None and at >= created + relapse:
            since = created + relapse
        if at >= since:
            ready.append((at, since))
    return [
        ("kube_pod_created", labels, [(at, created) for at in scrapes]),
        ("kube_pod_status_ready_time", labels, ready),
    ]


@pytest.fixture
async def source(prometheus_server: MakePrometheus) -> AsyncIterator[MetricSource]:
    ours = [pod(n, takes=40.0 + n, age=DAY + 3600.0 * n) for n in range(21)]  # 40 to 60 s
    others = [
        pod(30, takes=500.0, age=DAY, workload="web-api-7c9fdc8d5b"),
        pod(31, takes=500.0, age=DAY, namespace="other"),
        # created before the span: ready anew within it
        pod(32, takes=30.0, age=4 * DAY, lives=4 * DAY, relapse=2 * DAY),
        # never ready
        pod(33, takes=5000.0, age=DAY, lives=600.0),
    ]
    # a pod of ours that lost its readiness for long, and one that two scrapers saw
    ours += [pod(40, takes=50.0, age=DAY, relapse=900.0)]
    ours += [pod(41, takes=50.0, age=DAY), pod(41, takes=50.0, age=DAY, scraper="b")]
    server = prometheus_server([series for one in (*ours, *others) for series in one if series[2]])
    pool = SourcePool(policy=AddressPolicy.parse(["127.0.0.1"]))
    yield pool.open(SourceSpec(kind="prometheus", address=server.url))
    await pool.close()


async def test_the_pods_of_the_target_alone_and_the_first_time_that_they_were_ready(source: MetricSource) -> None:
    times = start_up_times(namespace="shop", target="web")
    assert (await source.instant(f"count({times})")).value == 23
    assert (await source.instant(f"min({times})")).value == 40
    assert (await source.instant(f"max({times})")).value == 60
    # 21 from 40 to 60 and twice 50: the 0.9-quantile of 23 lies at place 19.8
    assert (await source.instant(f"quantile(0.9, {times})")).value == pytest.approx(57.8)


async def test_a_workload_without_pods_is_no_figure(source: MetricSource) -> None:
    with pytest.raises(NoData):
        await source.instant(f"count({start_up_times(namespace='shop', target='absent')})")
