"""Which queries are asked together, and what becomes of one that spoils it for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaler.errors import QueryRejected, SourceError, SourceUnreachable
from scaler.sources.company import Company, fits_in

if TYPE_CHECKING:
    from collections.abc import Sequence

QUERIES = [f"q{n}" for n in range(16)]


class Source:
    """Answers each query with its own text; refuses, or warns of, those that it is told to."""

    def __init__(self, *, bad: Sequence[str] = (), odd: Sequence[str] = ()) -> None:
        self.bad, self.odd = bad, odd
        self.down = False
        self.requests: list[list[str]] = []

    async def one(self, query: str) -> str:
        answers, _ = await self.many([query])
        return str(answers[0])

    async def many(self, queries: Sequence[str]) -> tuple[list[str | SourceError], bool]:
        self.requests.append(list(queries))
        if self.down:
            raise SourceUnreachable("down")
        for query in queries:
            if query in self.bad:
                raise QueryRejected(query)
        return [f"answer of {query}" for query in queries], any(query in self.odd for query in queries)


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def company(now: list[float]) -> Company:
    return Company(most=16, nonce="n", monotonic=lambda: now[0])


@pytest.mark.parametrize(
    "query",
    [
        "up",
        "sum(rate(a[2m])) # comment",
        'up{a=")"}',
        "up{a=`) or (`}",
        "vector(1)",
        '{"dotted.name"}',
        "sum(a) or vector(0)",
    ],
)
def test_whole_expressions_that_give_a_vector_fit_in(query: str) -> None:
    assert fits_in(query)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "1 + 2",
        "time()",
        "scalar(up)",
        '"text"',
        "up[5m]",
        "up) or (up",
        'up),"a","b","","") or label_replace((up',
        "up)#",
        "up{a=`",
    ],
)
def test_what_is_none_or_could_reach_into_others_is_asked_alone(query: str) -> None:
    assert not fits_in(query)


async def test_all_are_asked_in_one_request(company: Company) -> None:
    source = Source()
    assert await company.ask(QUERIES, one=source.one, many=source.many) == [f"answer of {q}" for q in QUERIES]
    assert source.requests == [QUERIES]


async def test_one_that_is_refused_is_found_and_left_alone_for_an_hour(company: Company, now: list[float]) -> None:
    source = Source(bad=["q5"])
    answers = await company.ask(QUERIES, one=source.one, many=source.many)
    assert [str(answer) for answer in answers] == ["q5" if q == "q5" else f"answer of {q}" for q in QUERIES]
    assert isinstance(answers[5], QueryRejected)
    assert len(source.requests) == 9  # 16, and of each half both parts: 8 8, 4 4, 2 2, 1 1
    now[0] += 3599.0
    assert [q for q in ("q4", "q5", "q6") if not company.takes(q)] == ["q5"]
    now[0] += 1.0
    assert company.takes("q5")


async def test_when_each_is_right_alone_they_stay_alone(company: Company) -> None:
    class Picky(Source):
        async def many(self, queries: Sequence[str]) -> tuple[list[str | SourceError], bool]:
            if len(queries) > 1:
                raise QueryRejected("label_replace is not known here")
            return await super().many(queries)

    source = Picky()
    assert await company.ask(QUERIES, one=source.one, many=source.many) == [f"answer of {q}" for q in QUERIES]
    assert not any(company.takes(query) for query in QUERIES)


async def test_a_source_that_is_down_is_asked_once_and_for_fewer_the_next_time(company: Company) -> None:
    source = Source()
    source.down = True
    answers = await company.ask(QUERIES, one=source.one, many=source.many)
    assert [str(answer) for answer in answers] == ["down"] * 16
    assert len(source.requests) == 1
    assert company.most == 8
    source.down = False
    for _ in range(20):
        await company.ask(QUERIES[: company.most], one=source.one, many=source.many)
    assert company.most == 16


async def test_one_is_never_less_than_one(company: Company) -> None:
    source = Source()
    source.down = True
    for _ in range(10):
        await company.ask(QUERIES, one=source.one, many=source.many)
    assert company.most == 1


async def test_the_search_for_warnings_is_bounded_by_the_minute(now: list[float]) -> None:
    queries = [f"q{n}" for n in range(640)]
    company = Company(most=640, nonce="n", monotonic=lambda: now[0])
    source = Source(odd=queries)
    await company.ask(queries, one=source.one, many=source.many)
    first = len(source.requests)
    assert first <= 2 * 30 + 1
    await company.ask(queries, one=source.one, many=source.many)
    assert len(source.requests) == first + 1
    now[0] += 60.0
    await company.ask(queries, one=source.one, many=source.many)
    assert len(source.requests) > first + 2


def test_the_query_of_all_gives_each_its_label(company: Company) -> None:
    assert company.query(["up", "sum(a) # b"]) == (
        'label_replace((up\n),"foresail_part","n-0","","") or label_replace((sum(a) # b\n),"foresail_part","n-1","","")'
    )


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        ({"foresail_part": "n-12", "a": "b"}, 12),
        ({"foresail_part": "m-1"}, None),
        ({}, None),
        ({"foresail_part": "n-x"}, None),
    ],
)
def test_a_series_is_told_by_its_label(company: Company, labels: dict[str, str], part: int | None) -> None:
    assert company.part(labels) == part
    assert "foresail_part" not in labels


def test_two_companies_do_not_share_a_nonce() -> None:
    assert Company(most=2).query(["a", "b"]) != Company(most=2).query(["a", "b"])


def test_with_one_in_a_request_none_is_taken() -> None:
    assert not Company(most=1).takes("up")
