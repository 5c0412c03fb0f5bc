"""Questions of one moment share a request; each gets its own answer, error or end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.engine.history import History
from scaler.engine.state import SeriesState
from scaler.engine.together import Together
from scaler.errors import NoData, SourceError, SourceUnreachable
from scaler.sources.base import Sample
from scaler.sources.company import Company

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Source:
    """Answers with the query's length; `gate` holds answers back."""

    company: Company
    requests: list[list[str]] = field(default_factory=list)
    error: Exception | None = None
    gate: asyncio.Event | None = None

    async def instant(self, query: str) -> Sample:
        (found,) = await self.instant_many([query])
        assert isinstance(found, Sample)
        return found

    async def instant_many(self, queries: Sequence[str]) -> list[Sample | SourceError]:
        self.requests.append(list(queries))
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [NoData("absent") if query == "absent" else Sample(0.0, float(len(query))) for query in queries]

    async def range(self, query: str, *, start: int, end: int, step: int) -> TimeSeries:
        (found,) = await self.range_many([query], start=start, end=end, step=step)
        assert isinstance(found, TimeSeries)
        return found

    async def range_many(
        self, queries: Sequence[str], *, start: int, end: int, step: int
    ) -> list[TimeSeries | SourceError]:
        self.requests.append(list(queries))
        count = (end - start) // step + 1
        return [TimeSeries(start, step, np.full(count, float(len(query)))) for query in queries]

    async def close(self) -> None:
        """Nothing."""


def series(source: Source, query: str) -> SeriesState:
    return SeriesState(
        id=query, query=query, step=60, source=source, source_label="s", history=History(step=60, capacity=10)
    )


@pytest.fixture
def source() -> Source:
    return Source(Company(most=4))


@pytest.fixture
def together() -> Together:
    return Together(concurrency=2)


async def test_those_of_one_moment_share_requests_of_bounded_size(source: Source, together: Together) -> None:
    queries = [f"{'u' * n}p" for n in range(6)]
    found = await asyncio.gather(*(together.instant(series(source, q), q) for q in queries))
    assert [sample.value for sample in found] == [float(len(q)) for q in queries]
    assert source.requests == [queries[:4], queries[4:]]


async def test_the_same_query_is_asked_once(source: Source, together: Together) -> None:
    first, second = await asyncio.gather(*(together.instant(series(source, "up"), "up") for _ in range(2)))
    assert first == second
    assert source.requests == [["up"]]


async def test_one_after_the_other_each_is_asked_alone(source: Source, together: Together) -> None:
    await together.instant(series(source, "up"), "up")
    await together.instant(series(source, "upp"), "upp")
    assert source.requests == [["up"], ["upp"]]


async def test_sources_that_share_nothing_are_asked_each_for_itself(source: Source, together: Together) -> None:
    other = Source(Company(most=4))
    await asyncio.gather(*(together.instant(series(s, "up"), "up") for s in (source, other)))
    assert source.requests == other.requests == [["up"]]


async def test_a_query_that_does_not_fit_in_is_asked_alone(source: Source, together: Together) -> None:
    await asyncio.gather(*(together.instant(series(source, q), q) for q in ("up", "time()", "upp")))
    assert sorted(source.requests) == [["time()"], ["up", "upp"]]


async def test_each_has_its_own_error(source: Source, together: Together) -> None:
    found = await asyncio.gather(
        *(together.instant(series(source, q), q) for q in ("up", "absent")), return_exceptions=True
    )
    assert isinstance(found[0], Sample)
    assert isinstance(found[1], NoData)


@pytest.mark.parametrize("error", [SourceUnreachable("down"), RuntimeError("a bug")])
async def test_what_ends_the_request_is_told_to_all(source: Source, together: Together, error: Exception) -> None:
    source.error = error
    found = await asyncio.gather(
        *(together.instant(series(source, q), q) for q in ("up", "upp")), return_exceptions=True
    )
    assert found == [error, error]


async def test_a_request_that_nobody_waits_for_ends(source: Source, together: Together) -> None:
    source.gate = asyncio.Event()
    asked = [asyncio.create_task(together.instant(series(source, q), q)) for q in ("up", "upp")]
    for _ in range(20):
        await asyncio.sleep(0)
    (request,) = together._under_way
    asked[0].cancel()
    await asyncio.gather(asked[0], return_exceptions=True)
    assert not request.cancelling()
    asked[1].cancel()
    await asyncio.gather(*asked, request, return_exceptions=True)
    assert request.cancelled()


async def test_only_so_many_requests_are_under_way(source: Source, together: Together) -> None:
    source.gate = asyncio.Event()
    asked = [asyncio.create_task(together.instant(series(source, q), q)) for q in ("time()", "1", "2", "up", "upp")]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(source.requests) == 2
    source.gate.set()
    await asyncio.gather(*asked)
    assert len(source.requests) == 4


async def test_ranges_of_one_span_share_a_request_long_ones_do_not(source: Source, together: Together) -> None:
    longest = 60 * 1499
    found = await asyncio.gather(
        together.range(series(source, "up"), start=0, end=60),
        together.range(series(source, "upp"), start=0, end=60),
        together.range(series(source, "uppp"), start=60, end=60),
        together.range(series(source, "long"), start=0, end=longest),
        together.range(series(source, "longer"), start=0, end=longest),
        together.range(series(source, "too"), start=0, end=longest + 60),
        together.range(series(source, "tooo"), start=0, end=longest + 60),
    )
    assert [(len(one), one.values[0]) for one in found[:3]] == [(2, 2.0), (2, 3.0), (1, 4.0)]
    assert [(len(one), one.values[0]) for one in found[3:]] == [(1500, 4.0), (1500, 6.0), (1501, 3.0), (1501, 4.0)]
    assert sorted(source.requests) == [["long", "longer"], ["too"], ["tooo"], ["up", "upp"], ["uppp"]]


async def test_the_longer_ranges_are_the_fewer_share_a_request(source: Source, together: Together) -> None:
    queries = [f"{'u' * n}p" for n in range(5)]
    await asyncio.gather(*(together.range(series(source, q), start=0, end=60 * 999) for q in queries))
    assert source.requests == [queries[:3], queries[3:]]


async def turns() -> None:
    """Lets everything happen that waits for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_tenants_share_no_request(source: Source, together: Together) -> None:
    one, two = series(source, "up"), series(source, "upp")
    one.tenant, two.tenant = "one", "two"
    await asyncio.gather(together.instant(one, "up"), together.instant(two, "upp"), together.instant(one, "uppp"))
    assert sorted(source.requests) == [["up", "uppp"], ["upp"]]


async def test_a_tenant_whose_queries_hang_leaves_places_to_the_others(source: Source) -> None:
    together, source.company = Together(concurrency=4), Company(most=1)
    slow = [series(source, f"slow{n}") for n in range(3)]
    quick = series(source, "up")
    for one in slow:
        one.tenant = "slow"
    quick.tenant = "quick"
    source.gate = asyncio.Event()
    hanging = [asyncio.create_task(together.instant(one, one.query)) for one in slow]
    await turns()
    answer = asyncio.create_task(together.instant(quick, "up"))
    await turns()
    assert source.requests == [["slow0"], ["up"]]  # one place in four for each, the other two wait for their own
    hanging[1].cancel()
    source.gate.set()
    assert (await answer).value == 2.0
    assert [type(one) for one in await asyncio.gather(*hanging, return_exceptions=True)] == [
        Sample,
        asyncio.CancelledError,
        Sample,
    ]
