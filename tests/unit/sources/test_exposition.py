"""The exposition source: sums, rates across resets, its own short history, and every designed answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.errors import NoData, QueryRejected, ResponseMalformed, SourceDenied, SourceError
from scaler.sources.base import Sample, SourceSpec
from scaler.sources.exposition import ExpositionSource

if TYPE_CHECKING:
    from tests.unit.sources.conftest import Answer, Target

NOW = 1_800_000_000.0
SPEC = SourceSpec(kind="exposition", address="http://app:8080")
S = "source http://app:8080"
FIRST = f"counts: its rate is known after a second scrape of {S}"

GAUGES = """\
# HELP jobs How many.
# TYPE jobs gauge
jobs{queue="mail"} 3
jobs{queue="pay"} 4.5
jobs_other 100
free 7
# TYPE latency summary
latency{quantile="0.9"} 0.25
latency_sum 30
latency_count 10
old 5 1799999000000
"""


def page(text: str, kind: str = "text/plain; version=0.0.4") -> Answer:
    return 200, text.encode(), {"Content-Type": kind}


def counter(value: float, *, code: str = "200") -> Answer:
    return page(f'# TYPE hits counter\nhits_total{{code="{code}"}} {value}\n')


async def scrape(target: Target, source: ExpositionSource, answer: Answer, query: str = "hits_total") -> float:
    target.answers = [answer]
    target.time.now += 15
    return (await source.instant(query)).value


def open_source(target: Target, **changes: object) -> ExpositionSource:
    source: ExpositionSource = target.source(ExpositionSource, replace(SPEC, **changes))  # type: ignore[arg-type]
    return source


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("jobs", 7.5),
        ('jobs{queue="pay"}', 4.5),
        ('jobs{queue=~"m.*|x"}', 3.0),
        ('jobs{queue!="mail"}', 4.5),
        ("free", 7.0),
        ('latency{quantile="0.9"}', 0.25),
    ],
)
async def test_gauges_are_summed(target: Target, query: str, value: float) -> None:
    target.answers = [page(GAUGES)]
    assert await open_source(target).instant(query) == Sample(NOW, value)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("http://app:8080", "http://app:8080/metrics"),
        ("http://app:8080/", "http://app:8080/metrics"),
        ("http://app:8080/stats/prometheus?format=text", "http://app:8080/stats/prometheus?format=text&a=b&a=c"),
    ],
)
async def test_what_is_asked_for(target: Target, address: str, asked: str) -> None:
    target.answers = [page(GAUGES)]
    parameters = (("a", "b"), ("a", "c")) if "?" in asked else ()
    source = open_source(target, address=address, query_parameters=parameters, headers=(("X-A", "1"),))
    await source.instant("free")
    [request] = target.requests
    assert (request.method, str(request.url)) == ("GET", asked)
    assert (request.headers["accept"], request.headers["x-a"]) == ("text/plain;version=0.0.4", "1")


# --- counters ------------------------------------------------------------------------------


async def test_a_counter_is_a_rate_between_two_scrapes(target: Target) -> None:
    source = open_source(target)
    with pytest.raises(NoData) as caught:
        await scrape(target, source, counter(1000))
    assert str(caught.value) == f"query 'hits_total' {FIRST}"
    assert await scrape(target, source, counter(1030)) == 2.0
    assert await scrape(target, source, counter(1030)) == 0.0


async def test_a_reset_counts_from_zero(target: Target) -> None:
    source = open_source(target)
    with pytest.raises(NoData):
        await scrape(target, source, counter(1000))
    assert await scrape(target, source, counter(45)) == 3.0
    assert await scrape(target, source, counter(60)) == 1.0


async def test_only_series_seen_twice_count(target: Target) -> None:
    source = open_source(target)
    both = '# TYPE hits counter\nhits_total{{a="1"}} {0}\nhits_total{{a="2"}} {1}\n'
    with pytest.raises(NoData):
        await scrape(target, source, page('# TYPE hits counter\nhits_total{a="1"} 100\n'))
    assert await scrape(target, source, page(both.format(130, 9999))) == 2.0
    assert await scrape(target, source, page(both.format(130, 10014))) == 1.0
    with pytest.raises(NoData):
        await scrape(target, source, counter(1, code="other"))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("# TYPE hits_total counter\nhits_total {}\n", "hits_total"),
        ("hits_total {}\n", "hits_total"),
        ("# TYPE hits counter\nhits {}\n", "hits"),
        ("# TYPE hits counter\nhits {}\n", "hits_total"),
        ("# TYPE lat summary\nlat_sum 1\nlat_count {}\n", "lat_count"),
        ("# TYPE lat summary\nlat_sum {}\nlat_count 1\n", "lat_sum"),
        ('# TYPE lat histogram\nlat_bucket{{le="+Inf"}} {0}\nlat_sum 1\nlat_count {0}\n', "lat_count"),
        ('# TYPE lat histogram\nlat_bucket{{le="+Inf"}} {0}\nlat_sum 1\nlat_count {0}\n', 'lat_bucket{le="+Inf"}'),
    ],
)
async def test_what_counts(target: Target, text: str, query: str) -> None:
    source = open_source(target)
    with pytest.raises(NoData, match="counts: its rate"):
        await scrape(target, source, page(text.format(10)), query)
    assert await scrape(target, source, page(text.format(40)), query) == 2.0


async def test_openmetrics_too(target: Target) -> None:
    kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    text = (
        '# TYPE other counter\nother_total 1 # {{trace="x"}} 1\n'
        '# TYPE hits counter\n# UNIT hits \nhits_total {} # {{trace="x"}} 1\nhits_created 1\n# EOF\n'
    )
    source = open_source(target)
    with pytest.raises(NoData, match="counts: its rate"):
        await scrape(target, source, page(text.format(10), kind))
    assert await scrape(target, source, page(text.format(25), kind)) == 1.0


async def test_after_a_long_silence_a_counter_begins_anew(target: Target) -> None:
    source = open_source(target)
    with pytest.raises(NoData):
        await scrape(target, source, counter(100))
    target.time.now += 286
    with pytest.raises(NoData):
        await scrape(target, source, counter(200))
    target.time.now -= 3600  # the clock was set back
    with pytest.raises(NoData):
        await scrape(target, source, counter(300))
    assert await scrape(target, source, counter(315)) == 1.0


async def test_looks_within_a_second_share_one_answer(target: Target) -> None:
    source = open_source(target)
    target.answers = [counter(100)]
    for _ in range(2):
        with pytest.raises(NoData):
            await source.instant("hits_total")
        target.time.now += 0.4
    assert len(target.requests) == 1
    assert await scrape(target, source, counter(253.5)) == pytest.approx(153.5 / 15.8)
    target.time.now += 0.9
    assert (await source.instant("hits_total")).time == target.time.now - 0.9
    assert len(target.requests) == 2


# --- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "query", "error", "text"),
    [
        (
            page(GAUGES),
            "nothing",
            NoData,
            (
                f"query 'nothing' matches nothing at {S}: check the metric's name and the labels, "
                "or set ignoreNullValues to true if no match means 0"
            ),
        ),
        (
            page(GAUGES),
            "old",
            NoData,
            (
                f"query 'old' matches nothing at {S}: check the metric's name and the labels, "
                "or set ignoreNullValues to true if no match means 0"
            ),
        ),
        (
            page(""),
            "up",
            NoData,
            (
                f"query 'up' matches nothing at {S}: check the metric's name and the labels, "
                "or set ignoreNullValues to true if no match means 0"
            ),
        ),
        (page("load NaN\n"), "load", NoData, "query 'load' gives NaN, which is no load"),
        (page("load +Inf\n"), "load", NoData, "query 'load' gives +Inf, which is no load"),
        (
            page("<html><body>Hello</body></html>"),
            "load",
            ResponseMalformed,
            f"{S} does not answer in Prometheus's text format: is http://app:8080 the address of a metrics page?",
        ),
        (
            page('{"load": 3}'),
            "load",
            ResponseMalformed,
            f"{S} does not answer in Prometheus's text format: is http://app:8080 the address of a metrics page?",
        ),
        (
            page("load three\n"),
            "load",
            ResponseMalformed,
            f"{S} does not answer in Prometheus's text format: is http://app:8080 the address of a metrics page?",
        ),
        (
            (200, b"load \xff\n", {}),
            "load",
            ResponseMalformed,
            f"{S} does not answer in Prometheus's text format: is http://app:8080 the address of a metrics page?",
        ),
        (
            (401, b"", {}),
            "load",
            SourceDenied,
            f"{S} answers 401 (Unauthorized): no credentials were sent; check authModes and its parameters",
        ),
        (
            (404, b"", {}),
            "load",
            ResponseMalformed,
            f"{S} answers 404 (Not Found), which is no answer to this request",
        ),
    ],
)
async def test_what_becomes_an_error(
    target: Target, answer: Answer, query: str, error: type[SourceError], text: str
) -> None:
    target.answers = [answer]
    with pytest.raises(SourceError) as caught:
        await open_source(target).instant(query)
    assert (type(caught.value), str(caught.value)) == (error, text)


async def test_a_query_that_is_no_selector_is_refused_without_a_request(target: Target) -> None:
    source = open_source(target)
    with pytest.raises(QueryRejected):
        await source.instant("sum(up)")
    with pytest.raises(QueryRejected):
        await source.range("sum(up)", start=0, end=60, step=60)
    assert target.requests == []


async def test_no_match_is_0_only_because_the_user_says_so(target: Target) -> None:
    target.answers = [page(GAUGES)]
    assert (await open_source(target, ignore_null_values=True).instant("nothing")).value == 0.0


# --- its own history -----------------------------------------------------------------------


async def test_a_range_is_what_was_scraped(target: Target) -> None:
    source = open_source(target)
    for value in (1, 2, 3, 4, 5):  # at NOW + 15, 30, 45, 60, 75
        await scrape(target, source, page(f"load {value}\n"), "load")
    target.time.now += 150
    await scrape(target, source, page("load 6\n"), "load")  # at NOW + 240
    start = int(NOW)
    series = await source.range("load", start=start, end=start + 300, step=60)
    assert np.array_equal(series.values, [np.nan, 4, 5, np.nan, 6, np.nan], equal_nan=True)
    assert series.start == start
    later = await source.range("load", start=start + 60, end=start + 60, step=60)
    assert (later.start, later.values.tolist()) == (start + 60, [4])
    assert len(await source.range("load", start=start + 300, end=start + 600, step=60)) == 0
    assert len(await source.range("other", start=start, end=start + 600, step=60)) == 0


async def test_failed_scrapes_leave_gaps(target: Target) -> None:
    source = open_source(target)
    for value in ("1", "NaN", "3"):
        target.time.now += 45
        try:
            await scrape(target, source, page(f"load {value}\n"), "load")
        except NoData:
            assert value == "NaN"
    series = await source.range("load", start=int(NOW) + 60, end=int(NOW) + 180, step=60)
    assert np.array_equal(series.values, [1, np.nan, 3], equal_nan=True)


async def test_what_is_kept_is_bounded(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaler.sources.exposition._QUERIES", 2)
    source = open_source(target)
    for query in ("a", "b", "a", "c"):
        await scrape(target, source, page("a 1\nb 1\nc 1\n"), query)
    assert list(source._tracks) == ["a", "c"]
    assert source._tracks["a"].samples.maxlen == 11_000
