"""Lead times measured by the engine: when, what becomes of them, and what stands in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from scaler.engine.start_up import pods_started
from scaler.errors import NoData, SourceUnreachable
from scaler.sources.base import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.errors import ForesailError
    from tests.unit.engine.conftest import Workbench

HOUR = 3600


class Cluster:
    """What kube-state-metrics would have told, laid over the bench's source."""

    def __init__(self, bench: Workbench) -> None:
        self.pods = 20.0
        self.seconds = 300.0
        self.error: ForesailError | None = None
        self.asked: list[tuple[float, str]] = []
        self._load = bench.source.instant
        self._clock = bench.clock
        bench.source.instant = self.instant  # type: ignore[method-assign]  # the source of this test

    async def instant(self, query: str) -> Sample:
        if "kube_pod" not in query:
            return await self._load(query)
        self.asked.append((self._clock.now, query))
        if self.error is not None:
            raise self.error
        return Sample(self._clock.now, self.pods if query.startswith("count(") else self.seconds)


@pytest.fixture
def cluster(bench: Workbench) -> Cluster:
    return Cluster(bench)


@pytest.mark.parametrize(
    ("pod", "is_ours"),
    [
        ("web-7c9fdc8d5b-x2x7z", True),
        ("web-58d4-zbqxl", True),
        ("web-0", True),
        ("web-x2x7z", True),
        ("web-api-7c9fdc8d5b-x2x7z", False),
        ("web-admin-0", False),
        ("my-web-7c9fdc8d5b-x2x7z", False),
        ("web", False),
    ],
)
def test_pods_are_told_by_their_names(pod: str, *, is_ours: bool) -> None:
    assert bool(re.fullmatch(pods_started("web"), pod)) is is_ours


def test_a_dot_in_a_name_is_a_dot() -> None:
    assert re.fullmatch(pods_started("web.v2"), "web.v2-0")
    assert not re.fullmatch(pods_started("web.v2"), "webxv2-0")


async def test_a_given_lead_time_is_not_measured(bench: Workbench, cluster: Cluster, start: int) -> None:
    trigger = bench.register(leadTime="2m")
    await bench.engine.settle()
    await bench.at(start + 2 * HOUR)
    assert cluster.asked == []
    shown = bench.snapshot(trigger)
    assert (shown.lead_time, shown.lead_time_origin) == (120.0, "as leadTime says")


async def test_it_is_measured_at_first_sight_and_every_hour(bench: Workbench, cluster: Cluster, start: int) -> None:
    trigger = bench.register(leadTime="auto")
    await bench.engine.settle()
    shown = bench.snapshot(trigger)
    assert shown.lead_time == 300.0
    assert shown.lead_time_origin == (
        "measured: 90 % of the 20 pods that web started within the last 3d were ready after 5m"
    )
    assert shown.outlook is not None
    # 300 s and 45 s of asking, until the forecast is 240 s old: ten steps of a minute
    assert len(shown.outlook.peak) == 13
    cluster.seconds = 20.0
    await bench.at(start + HOUR - 60)
    assert len(cluster.asked) == 2
    await bench.at(start + HOUR + 120)
    assert len(cluster.asked) == 4
    assert bench.snapshot(trigger).lead_time == 20.0


async def test_another_target_is_asked_for_by_name(bench: Workbench, cluster: Cluster) -> None:
    bench.register(leadTime="auto", scaleTarget="checkout")
    await bench.engine.settle()
    assert all('namespace="shop",pod=~"checkout-(' in query for _, query in cluster.asked)


NOTHING = (
    "3m by default, not measured: the source knows no pod of web in shop that started within the last 3d "
    "(kube_pod_created and kube_pod_status_ready_time of kube-state-metrics); "
    "scaleTarget names the workload if it is called otherwise"
)


@pytest.mark.parametrize(
    ("pods", "error", "origin", "again"),
    [
        (0.0, None, NOTHING, 1.0),
        (9.0, NoData("no result"), NOTHING, 1.0),
        (
            4.0,
            None,
            (
                "3m by default, not measured: web has started 4 pods within the last 3d, "
                "5 are the least that says something"
            ),
            1.0,
        ),
        (9.0, SourceUnreachable("it is down"), "3m by default, not measured: it is down", 1 / 12),
    ],
)
async def test_what_cannot_be_measured_is_the_default_with_a_reason(
    bench: Workbench,
    cluster: Cluster,
    start: int,
    pods: float,
    error: ForesailError | None,
    origin: str,
    again: float,
) -> None:
    cluster.pods, cluster.error = pods, error
    trigger = bench.register(leadTime="auto")
    await bench.engine.settle()
    shown = bench.snapshot(trigger)
    assert (shown.lead_time, shown.lead_time_origin) == (180.0, origin)
    await bench.at(start + again * HOUR - 60)
    assert len(cluster.asked) == 1
    cluster.pods, cluster.error = 9.0, None
    await bench.at(start + again * HOUR + 120)
    assert bench.snapshot(trigger).lead_time == 300.0


async def test_a_figure_that_cannot_be_renewed_stays(bench: Workbench, cluster: Cluster, start: int) -> None:
    trigger = bench.register(leadTime="auto")
    await bench.engine.settle()
    cluster.error = SourceUnreachable("it is down")
    await bench.at(start + HOUR + 120)
    shown = bench.snapshot(trigger)
    assert shown.lead_time == 300.0
    assert shown.lead_time_origin.endswith("were ready after 5m; not measured anew: it is down")


async def test_after_a_restart_the_last_figure_stands_until_there_is_a_new_one(
    make_workbench: Callable[..., Workbench], start: int
) -> None:
    first = make_workbench()
    Cluster(first)
    trigger = first.register(leadTime="auto")
    other = first.register("api", leadTime="2m")
    await first.engine.settle()
    await first.persistence.flush(now=float(start))
    second = make_workbench()
    Cluster(second).error = SourceUnreachable("it is down")
    await second.engine.warm_start()
    second.register(leadTime="auto")
    second.register("api", leadTime="2m")
    await second.engine.settle()
    shown = second.snapshot(trigger)
    assert shown.lead_time == 300.0
    assert shown.lead_time_origin.endswith("not measured anew: it is down")
    assert second.snapshot(other).lead_time == 120.0


async def test_a_default_of_before_a_restart_is_no_figure(make_workbench: Callable[..., Workbench], start: int) -> None:
    first = make_workbench()
    Cluster(first).pods = 0.0
    first.register(leadTime="auto")
    await first.engine.settle()
    await first.persistence.flush(now=float(start))
    second = make_workbench()
    Cluster(second).error = SourceUnreachable("it is down")
    await second.engine.warm_start()
    trigger = second.register(leadTime="auto")
    await second.engine.settle()
    assert second.snapshot(trigger).lead_time_origin == "3m by default, not measured: it is down"
