"""What every source does with what HTTP may bring: retries, bounds, encodings, headers."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from scaler.errors import InvalidTrigger, ResponseMalformed, ResponseTooLarge, SourceError, SourceUnreachable
from scaler.sources.base import SourceSpec
from scaler.sources.fetch import Fetcher, RetryPolicy, request_headers, status_error

if TYPE_CHECKING:
    from tests.unit.sources.conftest import Answer, Target

S = "source http://prom:9090"
SPEC = SourceSpec(kind="prometheus", address="http://prom:9090")
BAD: Answer = (503, b"", {})
GOOD: Answer = (200, b"good", {})


async def fetch(target: Target, *, retry: RetryPolicy | None = None, max_bytes: int = 1000) -> bytes:
    fetcher: Fetcher = target.source(Fetcher, max_bytes=max_bytes)
    reply = await fetcher.fetch(
        lambda: httpx.Request("GET", "http://prom:9090/"),
        retry=retry or RetryPolicy(),
        refusal=lambda reply: status_error(fetcher.label, reply, credentials=False),
    )
    return reply.body


# --- trying again --------------------------------------------------------------------------


async def test_waits_double_up_to_a_cap_with_full_jitter(target: Target) -> None:
    target.answers = [*[BAD] * 8, GOOD]
    target.time.chance = 1.0
    assert await fetch(target, retry=RetryPolicy(attempts=9, deadline=60.0)) == b"good"
    assert target.time.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    target.answers, target.time.slept, target.time.chance = [BAD, BAD, GOOD], [], 0.5
    await fetch(target)
    assert target.time.slept == [0.125, 0.25]


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (httpx.ConnectError("connection refused"), f"{S} cannot be reached: connection refused; tried 4 times"),
        (
            httpx.ConnectTimeout(""),
            f"{S} gave no answer within 10s: raise timeout, or ask for less; tried 4 times",
        ),
        (httpx.ReadTimeout(""), f"{S} gave no answer within 10s: raise timeout, or ask for less; tried 4 times"),
        (httpx.PoolTimeout(""), f"{S} gave no answer within 10s: raise timeout, or ask for less; tried 4 times"),
        (httpx.ReadError(""), f"{S} broke off its answer; tried 4 times"),
        (httpx.RemoteProtocolError("peer closed"), f"{S} broke off its answer; tried 4 times"),
    ],
)
async def test_a_broken_connection_is_tried_again_and_told(target: Target, failure: Exception, text: str) -> None:
    target.answers = [failure]
    with pytest.raises(SourceUnreachable) as caught:
        await fetch(target)
    assert str(caught.value) == text
    assert caught.value.__cause__ is failure
    assert len(target.requests) == 4
    target.answers = [failure, GOOD]
    assert await fetch(target) == b"good"


async def test_what_will_not_pass_is_not_tried_again(target: Target) -> None:
    target.answers = [(401, b"", {})]
    with pytest.raises(SourceError):
        await fetch(target)
    assert len(target.requests) == 1


async def test_the_deadline_ends_it(target: Target) -> None:
    target.answers = [BAD]
    target.time.chance = 1.0
    with pytest.raises(SourceUnreachable, match=r"; tried 3 times$"):
        await fetch(target, retry=RetryPolicy(attempts=100, deadline=1.0))
    assert target.time.slept == [0.25, 0.5]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("3", 3.0),
        ("Fri, 15 Jan 2027 08:00:07 GMT", 7.0),
        ("Fri, 15 Jan 2027 08:00:07", 7.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("-3", 0.0),
        ("soon", 0.0),
        ("", 0.0),
    ],
)
async def test_the_wait_that_the_server_asks_for(target: Target, asked: str, waited: float) -> None:
    target.answers = [(429, b"", {"Retry-After": asked}), GOOD]
    assert await fetch(target) == b"good"
    assert target.time.slept == [waited]


async def test_jitter_comes_on_top_of_what_the_server_asks_for(target: Target) -> None:
    target.time.chance = 1.0
    target.answers = [(503, b"", {"Retry-After": "3"}), GOOD]
    await fetch(target)
    assert target.time.slept == [3.25]


async def test_a_wait_beyond_the_deadline_is_not_begun(target: Target) -> None:
    target.answers = [(429, b"", {"Retry-After": "99999999999"})]
    with pytest.raises(SourceUnreachable, match=r"answers 429 \(Too Many Requests\); tried 1 time$"):
        await fetch(target)
    assert target.time.slept == []


# --- bounds --------------------------------------------------------------------------------


async def test_an_answer_may_have_as_many_bytes_as_allowed_and_no_more(target: Target) -> None:
    target.answers = [(200, b"x" * 1000, {})]
    assert len(await fetch(target)) == 1000
    target.answers = [(200, b"x" * 1001, {})]
    with pytest.raises(ResponseTooLarge) as caught:
        await fetch(target)
    assert str(caught.value) == (
        f"{S} answers with more than 1000 bytes: aggregate in the query, for example with sum(), "
        "or let the operator raise max_response_bytes"
    )
    target.answers = [(200, b"x" * 4_000_000, {})]
    with pytest.raises(ResponseTooLarge, match="with more than 3 MiB: "):
        await fetch(target, max_bytes=3 * 2**20)


async def test_the_bytes_that_count_are_the_unpacked_ones(target: Target) -> None:
    zipped = {"Content-Encoding": "gzip"}
    target.answers = [(200, gzip.compress(b"x" * 1000, mtime=0), zipped)]
    assert await fetch(target) == b"x" * 1000
    target.answers = [(200, gzip.compress(b"x" * 1001, mtime=0), zipped)]
    with pytest.raises(ResponseTooLarge):
        await fetch(target)


@pytest.mark.parametrize(
    ("encoding", "body", "error", "text"),
    [
        ("br", b"x", ResponseMalformed, f"{S} answers in the content encoding 'br', but only gzip was offered"),
        ("gzip", b"not gzip at all", ResponseMalformed, f"{S} answers with broken gzip"),
        (
            "GZIP",
            gzip.compress(b"cut short", mtime=0)[:-9],
            SourceUnreachable,
            f"{S} broke off its answer; tried 4 times",
        ),
        ("gzip", b"", SourceUnreachable, f"{S} broke off its answer; tried 4 times"),
    ],
)
async def test_encodings(target: Target, encoding: str, body: bytes, error: type[SourceError], text: str) -> None:
    target.answers = [(200, body, {"Content-Encoding": encoding})]
    with pytest.raises(SourceError) as caught:
        await fetch(target)
    assert (type(caught.value), str(caught.value)) == (error, text)


# --- headers -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "X Y", "X:Y", "", "X\r\nY", "Ü"])
def test_names_of_headers_that_cannot_be_sent(name: str) -> None:
    with pytest.raises(InvalidTrigger) as caught:
        request_headers(replace(SPEC, headers=((name, "v"),)))
    assert caught.value.problems == (
        (
            f"a header named {name!r} cannot be sent; names are letters, digits and hyphens, and those of the "
            "connection (Host, Content-Length, ...) are not the user's to set"
        ),
    )


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "ü", "\x00"])
def test_values_of_headers_that_cannot_be_sent(value: str) -> None:
    spec = replace(SPEC, headers=(("X-A", "fine"),), auth_modes=("bearer",), bearer_token=value)
    with pytest.raises(InvalidTrigger) as caught:
        request_headers(spec)
    assert caught.value.problems == (
        "the value of header 'Authorization' cannot be sent; it must be printable ASCII, without line breaks",
    )
