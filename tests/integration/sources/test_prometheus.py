"""The prometheus source against a real server with a real past."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.errors import AddressRefused, NoData, QueryRejected, SourceUnreachable, TooManySeries
from scaler.sources.address import AddressPolicy
from scaler.sources.base import SourceSpec
from scaler.sources.factory import SourcePool
from scaler.sources.fetch import RetryPolicy, Timing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from scaler.sources.base import MetricSource
    from tests.integration.conftest import MakePrometheus, PrometheusServer

STEP = 60


def _past(count: int, *, end: int, step: int = STEP) -> list[tuple[float, float]]:
    """Values that tell where they belong: the sample at t has t // step % 9973."""
    return [(end - i * step, float((end - i * step) // step % 9973)) for i in range(count)]


def _expected(start: int, end: int, *, step: int = STEP) -> list[float]:
    return [float(t // step % 9973) for t in range(start, end + 1, step)]


@pytest.fixture
def moment() -> int:
    """When the test begins. Our clock stands still there, the server's own goes on: a minute between them is told."""
    return int(time.time())


@pytest.fixture
def now(moment: int) -> int:
    """The end of the past: the last time on the grid."""
    return moment // STEP * STEP


@pytest.fixture
async def open_source(moment: int) -> AsyncIterator[Callable[..., MetricSource]]:
    pool = SourcePool(policy=AddressPolicy.parse(["127.0.0.1"]), timing=Timing(now=lambda: moment + 0.5))

    def open_(server: PrometheusServer, **changes: object) -> MetricSource:
        return pool.open(SourceSpec(kind="prometheus", address=server.url, **changes))  # type: ignore[arg-type]

    yield open_
    await pool.close()


async def test_three_weeks_come_in_pieces_and_whole(
    prometheus_server: MakePrometheus, open_source: Callable[..., MetricSource], now: int
) -> None:
    server = prometheus_server([("load", {"job": "a"}, _past(30_240, end=now))])
    start = now - 30_239 * STEP
    series = await open_source(server).range("load", start=start, end=now, step=STEP)
    assert (series.start, series.end, len(series)) == (start, now, 30_240)
    assert series.values.tolist() == _expected(start, now)


async def test_what_the_server_refuses_at_once_is_why_it_comes_in_pieces(
    prometheus_server: MakePrometheus,
    open_source: Callable[..., MetricSource],
    monkeypatch: pytest.MonkeyPatch,
    now: int,
) -> None:
    server = prometheus_server([("load", {}, _past(12, end=now))])
    monkeypatch.setattr("scaler.sources.prometheus.MAX_POINTS", 11_002)
    with pytest.raises(QueryRejected) as caught:
        await open_source(server).range("load", start=now - 11_001 * STEP, end=now, step=STEP)
    assert str(caught.value) == (
        f"source {server.url} refuses query 'load': exceeded maximum resolution of 11,000 points per timeseries. "
        "Try decreasing the query resolution (?step=XX)"
    )


async def test_missing_and_odd_samples_are_gaps(
    prometheus_server: MakePrometheus, open_source: Callable[..., MetricSource], now: int
) -> None:
    samples = dict(_past(60, end=now))
    for age in range(20, 40):
        del samples[now - age * STEP]  # no scrapes; Prometheus's lookback bridges 5 minutes (its 3.0 a step less)
    samples[now - 3 * STEP] = math.nan
    samples[now - 2 * STEP] = math.inf
    server = prometheus_server([("load", {}, samples.items())])
    source = open_source(server)
    series = await source.range("load", start=now - 70 * STEP, end=now, step=STEP)
    gaps = set((np.flatnonzero(np.isnan(series.values)) - 70).tolist())
    assert gaps - {-35} == {*range(-70, -59), *range(-34, -19), -3, -2}
    assert series.values[-1] == samples[now]
    assert len(await source.range("load", start=now - 200 * STEP, end=now - 100 * STEP, step=STEP)) == 0
    assert len(await source.range("other", start=now - 70 * STEP, end=now, step=STEP)) == 0


async def test_an_instant_is_what_the_server_says_now(
    prometheus_server: MakePrometheus, open_source: Callable[..., MetricSource], now: int, moment: int
) -> None:
    server = prometheus_server([("load", {"pod": pod}, _past(10, end=now)) for pod in ("a", "b")])
    source = open_source(server)
    sample = await source.instant("sum(load)")
    assert (sample.time, sample.value) == (moment, 2 * _expected(now, now)[0])
    [answer] = server.query("sum(load)", at=moment)
    assert answer["value"] == [moment, f"{sample.value:g}"]
    assert (await source.instant("scalar(sum(load)) * 2")).value == 2 * sample.value


async def test_a_long_query_goes_through(
    prometheus_server: MakePrometheus, open_source: Callable[..., MetricSource], now: int
) -> None:
    server = prometheus_server([("load", {}, _past(3, end=now))])
    long = 'load{job!="' + "x" * 8000 + '"}'
    source = open_source(server, query_parameters=(("timeout", "5s"),), namespace="shop")
    assert (await source.instant(long)).value == _expected(now, now)[0]
    assert (await source.range(long, start=now, end=now, step=STEP)).values.tolist() == _expected(now, now)


async def test_what_the_server_does_not_answer_with_one_number(
    prometheus_server: MakePrometheus, open_source: Callable[..., MetricSource], now: int
) -> None:
    server = prometheus_server([("load", {"pod": pod}, _past(10, end=now)) for pod in ("a", "b", "c")])
    source = open_source(server)
    for query, error, text in (
        (
            "load",
            TooManySeries,
            (
                "query 'load' gives 3 series where one is needed, among them "
                'load{pod="a"} and load{pod="b"}; aggregate them, for example with sum(...)'
            ),
        ),
        (
            "sum(rate(load[5m])",
            QueryRejected,
            (
                f"source {server.url} refuses query 'sum(rate(load[5m])': "
                'invalid parameter "query": 1:19: parse error: unclosed left parenthesis'
            ),
        ),
        (
            "nothing",
            NoData,
            (
                f"query 'nothing' has no result at source {server.url}: the metric is not there, or its target has "
                "vanished; check the query, or set ignoreNullValues to true if no result means 0"
            ),
        ),
        (
            "0 * sum(load) / 0",
            NoData,
            (
                "query '0 * sum(load) / 0' gives NaN, which is no load: a division by zero does that, "
                "for example a rate divided by a rate that is 0"
            ),
        ),
        (
            "load[5m]",
            QueryRejected,
            (
                "query 'load[5m]' gives samples over a range where one number is needed; "
                "write for example sum(rate(http_requests_total[2m]))"
            ),
        ),
        (
            '"word"',
            QueryRejected,
            (
                "query '\"word\"' gives a string where one number is needed; "
                "write for example sum(rate(http_requests_total[2m]))"
            ),
        ),
    ):
        with pytest.raises(error) as caught:
            await source.instant(query)
        assert str(caught.value) == text
    with pytest.raises(TooManySeries):
        await source.range("load", start=now - 5 * STEP, end=now, step=STEP)
    with pytest.raises(QueryRejected):
        await source.range("sum(", start=now - 5 * STEP, end=now, step=STEP)


async def test_a_pod_that_replaced_another_is_one_history(
    prometheus_server: MakePrometheus, open_source: Callable[..., MetricSource], now: int
) -> None:
    old, new = _past(20, end=now - 20 * STEP), _past(15, end=now)
    server = prometheus_server([("load", {"pod": "old"}, old), ("load", {"pod": "new"}, new)])
    series = await open_source(server).range("load", start=now - 39 * STEP, end=now, step=STEP)
    expected = np.array(_expected(now - 39 * STEP, now))
    known = ~np.isnan(series.values)
    assert known.sum() >= 35
    # the old one lingers for Prometheus's lookback of five minutes
    lingering = slice(20, 25)
    assert np.array_equal(np.delete(series.values[known], lingering), np.delete(expected[known], lingering))


async def test_a_server_that_goes_and_comes_back(
    prometheus_server: MakePrometheus, open_source: Callable[..., MetricSource], now: int
) -> None:
    server = prometheus_server([("load", {}, _past(10, end=now))])
    source = open_source(server)
    first = await source.instant("load")
    server.stop()
    with pytest.raises(SourceUnreachable) as caught:
        await source.instant("load")
    assert str(caught.value) == f"source {server.url} cannot be reached: connection refused; tried 4 times"
    assert caught.value.transient
    server.start()
    assert await source.instant("load") == first


async def test_a_wrong_path_is_told(
    prometheus_server: MakePrometheus, open_source: Callable[..., MetricSource]
) -> None:
    server = prometheus_server([], arguments=["--web.route-prefix=/inner/"], start=False)
    server.ready_path = "/inner/-/ready"
    server.start()
    with pytest.raises(Exception, match="has no Prometheus API at") as caught:
        await open_source(server).instant("1")
    assert str(caught.value) == (
        f"source {server.url} has no Prometheus API at {server.url}/api/v1/query; the address is what comes before "
        "/api/v1, for example http://prometheus:9090 (Prometheus, Thanos), http://mimir:8080/prometheus (Mimir) or "
        "http://vmselect:8481/select/0/prometheus (VictoriaMetrics)"
    )
    pool = SourcePool(policy=AddressPolicy.parse(["127.0.0.1"]))
    inner = pool.open(SourceSpec(kind="prometheus", address=f"{server.url}/inner/"))
    assert (await inner.instant("1")).value == 1
    await pool.close()


async def test_names_that_lead_inside_are_refused_where_the_connection_is_made(
    prometheus_server: MakePrometheus,
) -> None:
    server = prometheus_server()
    pool = SourcePool(policy=AddressPolicy(), retry=RetryPolicy(attempts=1))
    for host in ("localhost", "2130706433", "0x7f000001", "127.1"):
        source = pool.open(SourceSpec(kind="prometheus", address=f"http://{host}:{server.port}"))
        with pytest.raises(AddressRefused) as caught:
            await source.instant("1")
        assert str(caught.value) == (
            f"address {host}:{server.port} is refused: it resolves to 127.0.0.1, a loopback address; give the address "
            f"of the source's Service, or let the operator allow it with --allow-address {host}:{server.port}"
        )
    await pool.close()
    allowed = SourcePool(policy=AddressPolicy.parse([f"localhost:{server.port}"]))
    source = allowed.open(SourceSpec(kind="prometheus", address=f"http://localhost:{server.port}"))
    assert (await source.instant("1")).value == 1
    await allowed.close()
