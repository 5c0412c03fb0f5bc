"""The faults of a source, each with the answer that is designed for it: docs/faults.md in code.

`{source}` in a text stands for the source as errors name it, `{query}` for the query.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from tests.support.faulty_proxy import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.faulty_proxy import Asked, Fault

__all__ = ["FAILING", "HARMLESS", "SourceFault"]

HANG = 3600.0  # seconds: longer than anybody waits


@dataclass(frozen=True)
class SourceFault:
    """What a source does, and what comes of it.

    Attributes:
        name: Of the fault, and of its trigger's lane.
        fault: Does it.
        kind: The error's class, as `foresail_source_errors_total` counts it.
        text: The error's text; `{tries}` where it depends on how far the retries came.
        metadata: The trigger's own, over those of all.
        warning: What the explanation warns of, of a fault that is none.
    """

    name: str
    fault: Fault
    kind: str = ""
    text: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    warning: str = ""


# --- what happens on the way ----------------------------------------------------------------


async def _hang(asked: Asked) -> Answer | None:
    await asyncio.sleep(HANG)
    return await asked.forward()


async def _late(asked: Asked) -> Answer | None:
    await asyncio.sleep(0.3)
    return await asked.forward()


async def _reset(asked: Asked) -> Answer | None:
    asked.abort()
    return None


async def _half(asked: Asked) -> Answer | None:
    whole = await asked.forward()
    transport = asked.request.transport
    assert transport is not None
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(whole.body)}\r\n\r\n"
    transport.write(head.encode() + whole.body[: len(whole.body) // 2])
    await asyncio.sleep(0)
    transport.close()
    return None


def _answers(answer: Answer) -> Fault:
    async def fault(asked: Asked) -> Answer | None:
        del asked
        return answer

    return fault


def _of_body(change: Callable[[bytes], Answer]) -> Fault:
    async def fault(asked: Asked) -> Answer | None:
        return change((await asked.forward()).body)

    return fault


# --- what becomes of the data ---------------------------------------------------------------


def _of_result(change: Callable[[str, list[Any]], Any]) -> Fault:
    """Changes the result of a good answer, given its kind and itself."""

    async def fault(asked: Asked) -> Answer | None:
        whole = await asked.forward()
        document = json.loads(whole.body)
        data = document["data"]
        data["result"] = change(data["resultType"], data["result"])
        return Answer(body=json.dumps(document).encode(), headers=whole.headers)

    return fault


def _of_values(change: Callable[[float, str], tuple[float, str]]) -> Fault:
    """Changes every (time, value)."""

    def every(kind: str, result: list[Any]) -> list[Any]:
        for series in result:
            if kind == "matrix":
                series["values"] = [change(*pair) for pair in series["values"]]
            else:
                series["value"] = change(*series["value"])
        return result

    return _of_result(every)


def _doubled(kind: str, result: list[Any]) -> list[Any]:
    del kind
    return [{**series, "metric": {"pod": pod}} for pod in ("a", "b") for series in result]


def _out_of_order(kind: str, result: list[Any]) -> list[Any]:
    for series in result if kind == "matrix" else []:
        series["values"].reverse()
    return result


def _not_there_yet(kind: str, result: list[Any]) -> list[Any]:
    """The newest samples have not landed: a remote write that lags."""
    for series in result if kind == "matrix" else []:
        series["values"] = series["values"][:-20]
    return [series for series in result if series.get("values", True)]


def _clock(ahead: float) -> Fault:
    """The source's clock is so many seconds ahead of ours, and all that it knows has its times."""

    async def fault(asked: Asked) -> Answer | None:
        headers = {"Content-Type": "application/json", "Date": formatdate(time.time() + ahead, usegmt=True)}
        if ahead < 0 and asked.endpoint == "query":  # now is its future: beyond its look-back there is nothing
            return Answer(body=b'{"status":"success","data":{"resultType":"vector","result":[]}}', headers=headers)
        return replace(await asked.forward(), headers=headers)

    return fault


_JSON = {"Content-Type": "application/json"}
_NONE = "query {query} has no result at {source}: the metric is not there, or its target has vanished"
_CHECK = "; check the query, or set ignoreNullValues to true if no result means 0"
_PAGE = b"<!doctype html><title>Sign in</title>"
_REFUSED = json.dumps({"status": "error", "errorType": "execution", "error": "query timed out in expression"}).encode()


FAILING = (
    SourceFault(
        "hangs",
        _hang,
        "SourceUnreachable",
        "{source} gave no answer within 1s: raise timeout, or ask for less; tried 1 time",
        metadata=(("timeout", "1s"),),
    ),
    SourceFault("resets-connections", _reset, "SourceUnreachable", "{source} broke off its answer; {tries}"),
    SourceFault("half-a-body", _half, "SourceUnreachable", "{source} broke off its answer; {tries}"),
    SourceFault(
        "too-many-requests",
        _answers(Answer(429, b"", {"Retry-After": "600"})),
        "SourceUnreachable",
        "{source} answers 429 (Too Many Requests); tried 1 time",
    ),
    SourceFault(
        "unavailable",
        _answers(Answer(503, b"upstream connect error", {"Content-Type": "text/plain"})),
        "SourceUnreachable",
        "{source} answers 503 (Service Unavailable); {tries}",
    ),
    SourceFault(
        "denies",
        _answers(Answer(401, b"", {})),
        "SourceDenied",
        "{source} answers 401 (Unauthorized): no credentials were sent; check authModes and its parameters",
    ),
    SourceFault(
        "redirects",
        _answers(Answer(302, b"", {"Location": "http://169.254.169.254/latest"})),
        "ResponseMalformed",
        "{source} answers 302, a redirect to http://169.254.169.254/latest: redirects are not followed; give the final "
        "address",
    ),
    SourceFault(
        "refuses-the-query",
        _answers(Answer(422, _REFUSED)),
        "QueryRejected",
        "{source} refuses query {query}: query timed out in expression",
    ),
    SourceFault(
        "web-page",
        _answers(Answer(200, _PAGE, {"Content-Type": "text/html"})),
        "ResponseMalformed",
        "{source} answers with a web page where Prometheus's JSON belongs: is a login page or another service at this "
        "address?",
    ),
    SourceFault(
        "garbage",
        _answers(Answer(200, bytes(range(256)), _JSON)),
        "ResponseMalformed",
        "{source} answers with JSON that is not Prometheus's: JSON is malformed: invalid character (byte 0)",
    ),
    SourceFault(
        "broken-gzip",
        _of_body(lambda body: Answer(200, b"\x1f\x8b" + gzip.compress(body)[4:], {"Content-Encoding": "gzip"})),
        "ResponseMalformed",
        "{source} answers with broken gzip",
    ),
    SourceFault(
        "endless-body",
        _answers(Answer(200, b" " * (1 << 20), _JSON)),
        "ResponseTooLarge",
        "{source} answers with more than 65536 bytes: aggregate in the query, for example with sum(), or let the "
        "operator raise max_response_bytes",
    ),
    SourceFault(
        "series-vanishes",
        _of_result(lambda _kind, _result: []),
        "NoData",
        _NONE + _CHECK,
    ),
    SourceFault(
        "series-doubles",
        _of_result(_doubled),
        "TooManySeries",
        'query {query} gives 2 series where one is needed, among them {{pod="a"}} and {{pod="b"}}; aggregate them, for '
        "example with sum(...)",
    ),
    SourceFault(
        "nan",
        _of_values(lambda at, _: (at, "NaN")),
        "NoData",
        "query {query} gives NaN, which is no load: a division by zero does that, for example a rate divided by a rate "
        "that is 0",
    ),
    SourceFault(
        "infinite",
        _of_values(lambda at, _: (at, "+Inf")),
        "NoData",
        "query {query} gives +Inf, which is no load: a division by zero does that, for example a rate divided by a "
        "rate that is 0",
    ),
    SourceFault(
        "no-number",
        _of_values(lambda at, _: (at, "forty-two")),
        "ResponseMalformed",
        "{source} answers with JSON that is not Prometheus's: 'forty-two' where a number belongs",
    ),
    SourceFault(
        "cached-answer",
        _of_values(lambda at, value: (at - 1200, value)),
        "NoData",
        "query {query} gives a value that is 20m old: {source} was asked for now; a cache between here and there, or a "
        "wrong clock, does that",
    ),
    SourceFault(
        "answer-of-the-future",
        _of_values(lambda at, value: (at + 600, value)),
        "NoData",
        "query {query} gives a value that is 10m in the future: {source} was asked for now; a cache between here and "
        "there, or a wrong clock, does that",
    ),
    SourceFault(
        "clock-behind",
        _clock(-600.0),
        "NoData",
        _NONE + " (the clock of {source} is 10m behind this machine's: one of them is wrong)" + _CHECK,
    ),
)
"""Faults that leave the load unknown: the last value stands until it is too old, then the answer is UNAVAILABLE."""

HARMLESS = (
    SourceFault(
        "clock-ahead",
        _clock(600.0),
        warning="the clock of {source} is 10m ahead of this machine's: one of them is wrong",
    ),
    SourceFault("slow", _late),
    SourceFault("wrong-content-type", _of_body(lambda body: Answer(200, body, {"Content-Type": "text/html"}))),
    SourceFault("samples-out-of-order", _of_result(_out_of_order)),
    SourceFault("samples-late", _of_result(_not_there_yet)),
)
"""Faults that the answers do not suffer from."""
