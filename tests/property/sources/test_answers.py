"""Whatever a server answers: a finite value, or an error of a source; never anything else."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from scaler.errors import SourceError
from scaler.sources.base import SourceSpec
from scaler.sources.exposition import ExpositionSource
from scaler.sources.fetch import RetryPolicy, Timing
from scaler.sources.prometheus import PrometheusSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = 1_800_000_000

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NUMBER = st.floats().map(str) | st.sampled_from(["NaN", "+Inf", "-Inf", "1e400", "", "x", "-0"])
TIME = st.sampled_from([NOW, NOW - 60, NOW + 0.5, -1e18, 1e18, 0]) | st.floats(allow_nan=False, allow_infinity=False)
LABELS = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
VALUE = st.tuples(TIME, NUMBER)
VECTOR = st.lists(st.fixed_dictionaries({"metric": LABELS}, optional={"value": VALUE | JSON}), max_size=3)
MATRIX = st.lists(st.fixed_dictionaries({"metric": LABELS, "values": st.lists(VALUE, max_size=4)}), max_size=3)
DATA = st.fixed_dictionaries(
    {
        "resultType": st.sampled_from(["vector", "matrix", "scalar", "string", "other"]),
        "result": VECTOR | MATRIX | VALUE | JSON,
    }
)
ANSWER = st.fixed_dictionaries(
    {"status": st.sampled_from(["success", "error", "?"])},
    optional={
        "data": DATA | JSON,
        "error": st.text(max_size=9) | JSON,
        "warnings": st.lists(st.text(max_size=9)) | JSON,
    },
)
BODIES = (ANSWER | JSON).map(msgspec.json.encode) | st.binary(max_size=40)
STATUSES = st.sampled_from([200, 200, 200, 204, 301, 400, 403, 404, 422, 429, 500, 999])
LINES = st.sampled_from(
    [
        "# TYPE load counter",
        "# TYPE load gauge",
        "# TYPE load histogram",
        "# TYPE load",
        "# HELP load x",
        "# EOF",
        "#",
        "load 1",
        "load -3",
        "load NaN",
        'load{a="b"} 2',
        'load{a="b} 2',
        "load_total 5",
        'load_bucket{le="+Inf"} 2',
        "load_count 4",
        "load",
        "load 1 2 3",
        "load 1 1800000000000",
        "load{} 1e999",
        "load 0x",
        '{"load"} 3',
        "load{,} 2",
    ]
)
PAGES = st.lists(LINES | st.text(max_size=12), max_size=6).map("\n".join) | st.text(max_size=40)
KINDS = st.sampled_from(["text/plain", "application/openmetrics-text; version=1.0.0", "text/html"])


class Body(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body


def _source(kind: Any, answers: list[httpx.Response]) -> Any:
    async def sleep(_seconds: float) -> None: ...

    now = iter(range(NOW, NOW + 1000))
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _request: answers.pop(0)))
    spec = SourceSpec(kind="any", address="http://prom:9090")
    timing = Timing(sleep=sleep, now=lambda: float(next(now)))
    return kind(spec, client=client, retry=RetryPolicy(attempts=1), timing=timing)


@given(STATUSES, BODIES)
def test_prometheus(status: int, body: bytes) -> None:
    async def ask() -> None:
        answers = [httpx.Response(status, stream=Body(body)) for _ in range(2)]
        source = _source(PrometheusSource, answers)
        try:
            sample = await source.instant("up")
            assert math.isfinite(sample.value)
            assert math.isfinite(sample.time)
        except SourceError as error:
            assert str(error)  # noqa: PT017 -- either outcome is right
        try:
            series = await source.range("up", start=NOW - 60, end=NOW, step=60)
            assert len(series) in {0, 2}
        except SourceError as error:
            assert str(error)  # noqa: PT017 -- either outcome is right

    asyncio.run(ask())


@given(st.lists(PAGES, min_size=2, max_size=3), KINDS)
def test_exposition(pages: list[str], kind: str) -> None:
    async def ask() -> None:
        headers = {"Content-Type": kind}
        answers = [httpx.Response(200, headers=headers, stream=Body(page.encode(errors="replace"))) for page in pages]
        source = _source(ExpositionSource, answers)
        for _ in pages:
            try:
                sample = await source.instant("load")
                assert math.isfinite(sample.value)
            except SourceError as error:
                assert str(error)  # noqa: PT017 -- either outcome is right

    asyncio.run(ask())
