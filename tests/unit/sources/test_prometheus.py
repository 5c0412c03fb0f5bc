"""Every designed answer of the prometheus source, word for word; histories are in test_prometheus_ranges.py."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import pytest

from scaler.errors import (
    NoData,
    QueryRejected,
    ResponseMalformed,
    SourceDenied,
    SourceError,
    SourceUnreachable,
    TooManySeries,
)
from scaler.sources.base import Sample, SourceSpec
from scaler.sources.company import Company
from scaler.sources.prometheus import PrometheusSource
from tests.support.prometheus_answers import MALFORMED, NOW, SPEC, S, failure, matrix, reply, success, vector

if TYPE_CHECKING:
    from tests.unit.sources.conftest import Answer, Target

VALUES = [
    (vector(({"__name__": "up"}, "1")), Sample(NOW, 1.0)),
    (vector(({}, "-2.5e-3"), time=NOW - 300), Sample(NOW - 300, -0.0025)),
    (success("scalar", [NOW, "42"]), Sample(NOW, 42.0)),
    (
        success("vector", [{"metric": {}, "value": [NOW, "7"]}], warnings=["store-1 is down"], infos=["metric might"]),
        Sample(NOW, 7.0, warning=f"{S} warns: store-1 is down; metric might"),
    ),
    (
        success("scalar", [NOW, "7"], isPartial=True),
        Sample(NOW, 7.0, warning=f"{S} warns: some storage nodes did not answer, the data is partial"),
    ),
]


@pytest.mark.parametrize(("answer", "sample"), VALUES)
async def test_what_becomes_a_value(target: Target, answer: Answer, sample: Sample) -> None:
    target.answers = [answer]
    assert await target.source(PrometheusSource).instant("up") == sample


FAILURES: list[tuple[str, Answer, type[SourceError], str]] = [
    (
        "no series",
        vector(),
        NoData,
        (
            f"query 'up' has no result at {S}: the metric is not there, or its target has vanished; "
            "check the query, or set ignoreNullValues to true if no result means 0"
        ),
    ),
    (
        "several series",
        vector(*(({"__name__": "up", "job": job, "pod": "x"}, "1") for job in "abc")),
        TooManySeries,
        (
            "query 'up' gives 3 series where one is needed, among them "
            'up{job="a", pod="x"} and up{job="b", pod="x"}; aggregate them, for example with sum(...)'
        ),
    ),
    (
        "long label sets",
        vector(({"a": "x" * 400}, "1"), ({}, "1")),
        TooManySeries,
        "query 'up' gives 2 series where one is needed, among them "
        '{a="' + "x" * 154 + "…} and {}; aggregate them, for example with sum(...)",
    ),
    *(
        (
            text,
            vector(({}, text)),
            NoData,
            (
                f"query 'up' gives {text}, which is no load: a division by zero does that, "
                "for example a rate divided by a rate that is 0"
            ),
        )
        for text in ("NaN", "+Inf", "-Inf")
    ),
    (
        "stale",
        vector(({}, "1"), time=NOW - 1200),
        NoData,
        (
            f"query 'up' gives a value that is 20m old: {S} was asked for now; "
            "a cache between here and there, or a wrong clock, does that"
        ),
    ),
    (
        "ahead of time",
        vector(({}, "1"), time=NOW + 301),
        NoData,
        (
            f"query 'up' gives a value that is 5m1s in the future: {S} was asked for now; "
            "a cache between here and there, or a wrong clock, does that"
        ),
    ),
    (
        "a string",
        success("string", [NOW, "text"]),
        QueryRejected,
        "query 'up' gives a string where one number is needed; write for example sum(rate(http_requests_total[2m]))",
    ),
    (
        "a range",
        matrix(({}, [(NOW, "1")])),
        QueryRejected,
        (
            "query 'up' gives samples over a range where one number is needed; "
            "write for example sum(rate(http_requests_total[2m]))"
        ),
    ),
    (
        "a histogram",
        success("vector", [{"metric": {}, "histogram": [NOW, {"count": "1"}]}]),
        QueryRejected,
        (
            "query 'up' gives a histogram where one number is needed; "
            "write for example histogram_count(...) or histogram_quantile(0.9, ...)"
        ),
    ),
    (
        "400",
        failure(400, "parse error: \n unexpected"),
        QueryRejected,
        f"{S} refuses query 'up': parse error: unexpected",
    ),
    ("422", failure(422, "too many samples", "execution"), QueryRejected, f"{S} refuses query 'up': too many samples"),
    ("error in a 200", failure(200, ""), QueryRejected, f"{S} refuses query 'up': it does not say why"),
    (
        "endless words",
        failure(400, "x" * 5000),
        QueryRejected,
        f"{S} refuses query 'up': " + "x" * 299 + "…",
    ),
    (
        "400 of somebody else",
        reply(400, "secret words of another server"),
        ResponseMalformed,
        f"{S} answers 400 (Bad Request), which is no answer to this request",
    ),
    (
        "401",
        reply(401, "no"),
        SourceDenied,
        f"{S} answers 401 (Unauthorized): no credentials were sent; check authModes and its parameters",
    ),
    (
        "403",
        failure(403, "not your tenant"),
        SourceDenied,
        f"{S} answers 403 (Forbidden): no credentials were sent; check authModes and its parameters: not your tenant",
    ),
    (
        "404",
        reply(404, "404 page not found"),
        ResponseMalformed,
        (
            f"{S} has no Prometheus API at http://prom:9090/api/v1/query; the address is what comes before /api/v1, "
            "for example http://prometheus:9090 (Prometheus, Thanos), http://mimir:8080/prometheus (Mimir) or "
            "http://vmselect:8481/select/0/prometheus (VictoriaMetrics)"
        ),
    ),
    (
        "405",
        reply(405),
        ResponseMalformed,
        f"{S} answers 405 (Method Not Allowed), which is no answer to this request",
    ),
    (
        "a redirect",
        reply(302, location="https://user:pass@login.example/start?token=abc"),
        ResponseMalformed,
        (
            f"{S} answers 302, a redirect to https://login.example/start: redirects are not followed; "
            "give the final address"
        ),
    ),
    (
        "a redirect to nowhere",
        reply(308),
        ResponseMalformed,
        f"{S} answers 308, a redirect to nowhere: redirects are not followed; give the final address",
    ),
    ("429", reply(429), SourceUnreachable, f"{S} answers 429 (Too Many Requests); tried 4 times"),
    (
        "503",
        failure(503, "query timed out in expression evaluation", "timeout"),
        SourceUnreachable,
        f"{S} answers 503 (Service Unavailable): query timed out in expression evaluation; tried 4 times",
    ),
    ("599", reply(599), SourceUnreachable, f"{S} answers 599; tried 4 times"),
    (
        "a web page",
        reply(200, "\n <!DOCTYPE html><html>"),
        ResponseMalformed,
        (
            f"{S} answers with a web page where Prometheus's JSON belongs: "
            "is a login page or another service at this address?"
        ),
    ),
    (
        "cut JSON",
        reply(200, b'{"status":"succ'),
        ResponseMalformed,
        MALFORMED + "Input data was truncated",
    ),
    (
        "other JSON",
        reply(200, b'{"hits": 3}'),
        ResponseMalformed,
        MALFORMED + "Object missing required field `status`",
    ),
    (
        "a new kind of result",
        success("tensor", []),
        ResponseMalformed,
        MALFORMED + "a tensor where a vector belongs",
    ),
    (
        "no number",
        vector(({}, "many")),
        ResponseMalformed,
        MALFORMED + "'many' where a number belongs",
    ),
    (
        "another shape",
        success("vector", [{"value": 3}]),
        ResponseMalformed,
        MALFORMED + "Expected `array | null`, got `int` - at `$[0].value`",
    ),
]


@pytest.mark.parametrize(
    ("answer", "error", "text"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
async def test_what_becomes_an_error(target: Target, answer: Answer, error: type[SourceError], text: str) -> None:
    target.answers = [answer]
    with pytest.raises(SourceError) as caught:
        await target.source(PrometheusSource).instant("up")
    assert (type(caught.value), str(caught.value)) == (error, text)


async def test_no_result_is_0_only_because_the_user_says_so(target: Target) -> None:
    target.answers = [vector()]
    source = target.source(PrometheusSource, replace(SPEC, ignore_null_values=True))
    assert await source.instant("up") == Sample(NOW, 0.0)
    target.answers = [vector(({}, "NaN"))]
    with pytest.raises(NoData):
        await source.instant("up")


@pytest.mark.parametrize(
    ("date", "age", "warning"),
    [
        ("Fri, 15 Jan 2027 08:00:59 GMT", "0", ""),
        ("Fri, 15 Jan 2027 07:59:01 GMT", "0", ""),
        (
            "Fri, 15 Jan 2027 08:10:01 GMT",
            "0",
            f"the clock of {S} is 10m ahead of this machine's: one of them is wrong",
        ),
        ("Fri, 15 Jan 2027 07:49:58 GMT", "0", f"the clock of {S} is 10m behind this machine's: one of them is wrong"),
        ("Fri, 15 Jan 2027 07:50:00 GMT", "600", ""),  # out of a cache
        ("yesterday", "0", ""),
        ("Fri, 15 Jan 2027 07:50:00 GMT", "a while", ""),
    ],
)
async def test_a_clock_that_is_wrong_is_told(target: Target, date: str, age: str, warning: str) -> None:
    status, body, _ = vector(({}, "1"))
    target.answers = [(status, body, {"date": date, "age": age})]
    source = target.source(PrometheusSource)
    assert await source.instant("up") == Sample(NOW, 1.0, warning=warning)
    target.answers = [(status, vector()[1], {"date": date, "age": age})]
    clock = f" ({warning})" if warning else ""
    with pytest.raises(NoData) as caught:
        await source.instant("up")
    assert str(caught.value) == (
        f"query 'up' has no result at {S}: the metric is not there, or its target has vanished{clock}; "
        "check the query, or set ignoreNullValues to true if no result means 0"
    )


async def test_an_instant_query_is_the_one_that_keda_makes(target: Target) -> None:
    target.answers = [vector(({}, "1"))]
    target.time.now += 0.7
    await target.source(PrometheusSource).instant('up{job="a"}')
    [request] = target.requests
    assert (request.method, request.url.path) == ("GET", "/api/v1/query")
    assert request.url.params.multi_items() == [("query", 'up{job="a"}'), ("time", "1800000000")]


SPECS: list[tuple[SourceSpec, str, dict[str, str]]] = [
    (
        replace(
            SPEC,
            address="http://vmselect:8481/select/0/prometheus/?tenant=a",
            namespace="shop",
            query_parameters=(("dedup", "true"), ("query", "mine")),
        ),
        (
            "http://vmselect:8481/select/0/prometheus/api/v1/query"
            "?query=up&query=mine&time=1800000000&tenant=a&dedup=true&namespace=shop"
        ),
        {},
    ),
    (replace(SPEC, headers=(("X-Scope-OrgID", "team-a"),)), "", {"x-scope-orgid": "team-a"}),
    (replace(SPEC, auth_modes=("bearer",), bearer_token="t0ken"), "", {"authorization": "Bearer t0ken"}),
    (
        replace(SPEC, auth_modes=("basic", "tls"), username="ana", password="p:w"),
        "",
        {"authorization": "Basic YW5hOnA6dw=="},
    ),
    (
        replace(SPEC, auth_modes=("custom",), custom_auth_header="X-Key", custom_auth_value="k"),
        "",
        {"x-key": "k", "accept-encoding": "gzip"},
    ),
]


@pytest.mark.parametrize(("spec", "url", "headers"), SPECS)
async def test_what_the_specification_adds(target: Target, spec: SourceSpec, url: str, headers: dict[str, str]) -> None:
    target.answers = [vector(({}, "1"))]
    await target.source(PrometheusSource, spec).instant("up")
    [request] = target.requests
    assert str(request.url) == (url or "http://prom:9090/api/v1/query?query=up&time=1800000000")
    assert headers.items() <= dict(request.headers).items()


async def test_a_long_query_goes_as_a_form(target: Target) -> None:
    target.answers = [vector(({}, "1"))]
    query = "up + " + "0 + " * 2000 + "0"
    await target.source(PrometheusSource, replace(SPEC, namespace="shop")).instant(query)
    [request] = target.requests
    assert (request.method, str(request.url)) == ("POST", "http://prom:9090/api/v1/query?namespace=shop")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(request.content.decode()) == [("query", query), ("time", "1800000000")]


async def test_texts_hold_no_secrets(target: Target) -> None:
    spec = replace(
        SPEC,
        auth_modes=("basic",),
        username="ana",
        password="correct-horse",
        headers=(("X-Api-Key", "k3y-of-ana"),),
    )
    target.answers = [failure(403, "Basic YW5hOmNvcnJlY3QtaG9yc2U= (correct-horse) with k3y-of-ana is not allowed")]
    with pytest.raises(SourceDenied) as caught:
        await target.source(PrometheusSource, spec).instant("up")
    assert str(caught.value) == (
        f"{S} answers 403 (Forbidden): the credentials sent are not good enough; check authModes and its parameters: "
        "Basic *** (***) with *** is not allowed"
    )


async def test_a_named_source_is_called_by_its_name(target: Target) -> None:
    target.answers = [reply(429)]
    with pytest.raises(SourceUnreachable, match=r"^source 'main' answers 429 \(Too Many Requests\); tried 4 times$"):
        await target.source(PrometheusSource, replace(SPEC, name="main")).instant("up")


class TestTogether:
    """Several queries in one request; tests/integration/sources/test_together.py asks a real server."""

    @staticmethod
    def answer(request: httpx.Request) -> tuple[int, bytes, dict[str, str]]:
        """Each part's number plus one; a warning if `odd` is among the queries."""
        query = dict(httpx.QueryParams(request.content.decode() or request.url.query))["query"]
        found = [
            {"metric": {"foresail_part": label}, "value": [1_800_000_000, str(number + 1)]}
            for number, label in enumerate(re.findall(r'"foresail_part","([^"]+)"', query))
        ] or [{"metric": {}, "value": [1_800_000_000, "7"]}]
        body: dict[str, Any] = {"status": "success", "data": {"resultType": "vector", "result": found}}
        if "odd" in query:
            body["infos"] = ["odd metric of a tenant"]
        return 200, json.dumps(body).encode(), {}

    async def test_a_warning_is_told_to_the_query_that_it_is_about_and_to_no_other(self, target: Target) -> None:
        target.answers = [self.answer]
        source = target.source(PrometheusSource, company=Company(most=50))
        found = await source.instant_many(["a", "odd", "b", "c"])
        assert [bool(one.warning) for one in found] == [False, True, False, False]
        assert "odd metric of a tenant" in found[1].warning
        assert not source.company.takes("odd")
        assert source.company.takes("b")

    async def test_what_cannot_be_told_apart_is_no_ones_words(self, target: Target) -> None:
        target.answers = [self.answer]
        queries = [f"odd{n}" for n in range(200)]
        source = target.source(PrometheusSource, company=Company(most=200))
        found = await source.instant_many(queries)
        told = {one.warning for one in found if "tenant" not in one.warning}
        assert told == {
            "source http://prom:9090 warns of one of the queries that it was asked at once, maybe of this one"
        }

    @pytest.mark.parametrize("label", [{}, {"foresail_part": "other-0"}, {"foresail_part": "n-9"}])
    async def test_a_series_of_no_query_is_no_answer(self, target: Target, label: dict[str, str]) -> None:
        found = [{"metric": label, "value": [1_800_000_000, "1"]}]
        body = {"status": "success", "data": {"resultType": "vector", "result": found}}
        single = {"status": "success", "data": {"resultType": "vector", "result": [found[0] | {"metric": {}}]}}
        target.answers = [(200, json.dumps(body).encode(), {}), (200, json.dumps(single).encode(), {})]
        source = target.source(PrometheusSource, company=Company(most=50, nonce="n"))
        assert [one.value for one in await source.instant_many(["a", "b"])] == [1.0, 1.0]
        assert len(target.requests) == 3  # both were asked alone
