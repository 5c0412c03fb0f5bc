"""Several queries in one request to a real server: each gets the answer that it gets alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import pytest

from scaler.errors import NoData, QueryRejected, SourceError, TooManySeries
from scaler.sources.address import AddressPolicy
from scaler.sources.base import AsksMany, Sample, SourceSpec
from scaler.sources.factory import SourcePool
from scaler.sources.fetch import Timing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from forecasting.series import TimeSeries
    from scaler.sources.prometheus import PrometheusSource
    from tests.integration.conftest import MakePrometheus, PrometheusServer

STEP = 60
NOW = int(time.time()) // STEP * STEP  # blocks of samples end when the tests begin
MINUTES = 90


def _past(factor: float) -> list[tuple[float, float]]:
    return [(NOW - STEP * n, factor * (n + 1)) for n in range(MINUTES)]


QUERIES = [
    'sum(load{app="a"})',
    'sum(load{app="b"}) # the ) of a comment, and its "',
    'load{app="c"}',
    'sum(load{app=~"a|b"}) or vector(0)',
    'max by (app) (load{app="a"})',
    'load{app="b"} offset 5m',
]


@pytest.fixture
def server(prometheus_server: MakePrometheus) -> PrometheusServer:
    apps = [("load", {"app": app}, _past(factor)) for app, factor in (("a", 1.0), ("b", 10.0), ("c", 100.0))]
    return prometheus_server(apps)


@pytest.fixture
async def open_source() -> AsyncIterator[Callable[..., PrometheusSource]]:
    pool = SourcePool(policy=AddressPolicy.parse(["127.0.0.1"]), together=50, timing=Timing(now=lambda: NOW + 1.0))

    def open_(server: PrometheusServer, **changes: object) -> PrometheusSource:
        spec = SourceSpec(kind="prometheus", address=server.url, **changes)  # type: ignore[arg-type]
        return cast("PrometheusSource", pool.open(spec))

    yield open_
    await pool.close()


async def test_instants_are_those_of_each_query_alone(
    server: PrometheusServer, open_source: Callable[..., PrometheusSource]
) -> None:
    source = open_source(server)
    assert isinstance(source, AsksMany)
    assert all(source.company.takes(query) for query in QUERIES)
    alone = [await source.instant(query) for query in QUERIES]
    together = [one for one in await source.instant_many(QUERIES) if isinstance(one, Sample)]
    # not their warnings: those tell by how much the server's clock is ahead of NOW, where ours stands still
    assert [(one.time, one.value) for one in together] == [(one.time, one.value) for one in alone]
    assert len({sample.value for sample in alone}) == 5


async def test_histories_are_those_of_each_query_alone(
    server: PrometheusServer, open_source: Callable[..., PrometheusSource]
) -> None:
    source = open_source(server)
    start = NOW - 59 * STEP
    alone: list[TimeSeries] = [await source.range(query, start=start, end=NOW, step=STEP) for query in QUERIES]
    assert await source.range_many(QUERIES, start=start, end=NOW, step=STEP) == alone
    assert all(series.known >= 55 for series in alone)


async def test_what_is_wrong_with_one_query_is_its_own(
    server: PrometheusServer, open_source: Callable[..., PrometheusSource]
) -> None:
    source = open_source(server)
    refused = "load * on () load"  # many-to-many: an error of the whole request
    queries = ['sum(load{app="a"})', "load", "absent_metric", refused, 'sum(load{app="b"})']
    found = await source.instant_many(queries)
    errors = [type(one) for one in found if isinstance(one, SourceError)]
    assert errors == [TooManySeries, NoData, QueryRejected]
    assert [one.value for one in found if isinstance(one, Sample)] == [1.0, 10.0]
    assert str(found[1]) == str(await _error(source, "load"))
    assert str(found[2]) == str(await _error(source, "absent_metric"))
    assert str(found[3]).startswith(f"source {server.url} refuses query 'load * on () load': ")
    assert not source.company.takes(refused)
    assert source.company.takes("absent_metric")


async def test_nulls_count_as_nothing_only_for_who_said_so(
    server: PrometheusServer, open_source: Callable[..., PrometheusSource]
) -> None:
    strict, lenient = open_source(server), open_source(server, ignore_null_values=True)
    assert strict.company is not lenient.company
    assert strict.company is open_source(server).company
    (missing, _), (nothing, _) = [await s.instant_many(["absent_metric", "sum(load)"]) for s in (strict, lenient)]
    assert isinstance(missing, NoData)
    assert isinstance(nothing, Sample)
    assert nothing.value == 0.0


async def _error(source: PrometheusSource, query: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await source.instant(query)
    return caught.value
