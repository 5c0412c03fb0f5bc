"""Prometheus and what speaks its query API: Thanos, Mimir, Cortex, VictoriaMetrics.

What is answered for what the API may bring, besides what HTTP may bring (`scaler.sources.fetch`); `{S}` stands for the
source, `{Q}` for the query:

==============================  ==================  ==============================================================
the source answers              error               text, or the value
==============================  ==================  ==============================================================
one series                                          its value
a scalar                                            its value
no series                       NoData              `query {Q} has no result at {S}: …`; 0 if ignoreNullValues is true
several series                  TooManySeries       `query {Q} gives 5 series where one is needed, among them … and …`
NaN, +Inf, -Inf                 NoData              `query {Q} gives NaN, which is no load: …`
a value of another time         NoData              `query {Q} gives a value that is 20m old: …`
a string, samples over a range  QueryRejected       `query {Q} gives a string where one number is needed`
a native histogram              QueryRejected       `query {Q} gives a histogram where one number is needed: …`
warnings, infos, isPartial                          the value, and the words in `Sample.warning`
400, 422                        QueryRejected       `{S} refuses query {Q}: ` and the source's words
404                             ResponseMalformed   `{S} has no Prometheus API at …` and what the address should be
a web page                      ResponseMalformed   `{S} answers with a web page where Prometheus's JSON belongs: …`
JSON that is broken or other    ResponseMalformed   `{S} answers with JSON that is not Prometheus's: …`
==============================  ==================  ==============================================================

A range is asked for in pieces, as Prometheus refuses more than 11,000 points per series. Its samples are what an
instant query would have given at each moment: where that would have been an error (no series, several, NaN), there is
a gap. `ignoreNullValues` fills no gaps: nobody can tell an idle service from a Prometheus that was down.
"""

from __future__ import annotations

import contextlib
import logging
import math
from typing import TYPE_CHECKING, TypeVar

import httpx
import msgspec
import numpy as np

from forecasting.series import TimeSeries
from scaler.errors import (
    NoData,
    QueryRejected,
    ResponseMalformed,
    SourceError,
    TooManySeries,
)
from scaler.sources.address import shown
from scaler.sources.answer import Answer, Range, RangeText, Vector, go_number, label_text
from scaler.sources.base import Sample
from scaler.sources.company import Company
from scaler.sources.fetch import (
    DEFAULT_MAX_BYTES,
    Fetcher,
    Reply,
    RetryPolicy,
    Timing,
    clock_difference,
    extended,
    status_error,
)
from scaler.words import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forecasting.series import FloatArray
    from scaler.sources.answer import Labels
    from scaler.sources.base import SourceSpec
    from scaler.sources.live import LiveSpec

__all__ = ["MAX_POINTS", "PrometheusSource"]

MAX_POINTS = 11_000  # Prometheus's own limit per series and request
_LONGEST_TARGET = 4_000  # bytes of a GET's query string; proxies refuse longer ones, so these go as POST
_LONGEST_QUERY = 120  # characters of a query in our texts
_STALE_AFTER = 300.0  # seconds: Prometheus's own lookback; an older answer comes out of somebody's cache

_CLOCKS_APART = 60.0  # seconds between two clocks that are told: scrapes and answers take some themselves
_CLOCK_GRAIN = 0.002  # seconds: Prometheus writes times with milliseconds

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_S = TypeVar("_S", Vector, Range)
_answers = msgspec.json.Decoder(Answer)


class PrometheusSource:
    """A source with Prometheus's query API; implements `MetricSource`.

    Args:
        spec: Address, credentials, tenant.
        client: Its connections; closed by `close`.
        retry: When to try again; for instant queries within the specification's timeout in all.
        max_bytes: The most bytes of an answer, decompressed.
        timing: Clocks and chance.
        live: The specification as its files have it, where several sources share it.
        company: Which queries are asked together; None: each is asked alone.

    Raises:
        InvalidTrigger: The specification's headers cannot be sent.
    """

    def __init__(
        self,
        spec: SourceSpec,
        *,
        client: httpx.AsyncClient,
        retry: RetryPolicy | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        timing: Timing | None = None,
        live: LiveSpec | None = None,
        company: Company | None = None,
    ) -> None:
        self._spec = spec
        self.company = company or Company(most=1)
        self._client = client
        self._timing = timing or Timing()
        self._fetcher = Fetcher(spec, client=client, max_bytes=max_bytes, timing=self._timing, live=live)
        self._clock_note = ""  # what is odd about the source's clock
        self._warned_of = ""  # of the last history, so that a lasting warning is logged once
        self._patient = retry or RetryPolicy()
        # the next look at the newest value comes soon anyhow: one that hangs must not hold up the others
        self._brief = self._patient.within(spec.timeout)

    async def instant(self, query: str) -> Sample:
        """The value that plain KEDA would see now: the query at this second."""
        now = int(self._timing.now())  # whole seconds, as KEDA sends them
        answer = await self._ask("query", query, {"time": str(now)}, retry=self._brief)
        return self._sample(query, *self._one_number(query, answer, now=now), now=now, warning=self._warning(answer))

    async def instant_many(self, queries: Sequence[str]) -> list[Sample | SourceError]:
        """As `instant`, for each of the queries: see `scaler.sources.company`."""

        async def many(some: Sequence[str]) -> tuple[list[Sample | SourceError], bool]:
            now = int(self._timing.now())
            answer = await self._ask("query", self.company.query(some), {"time": str(now)}, retry=self._brief)
            warning = self._warning(answer, together=True)

            def read(query: str, series: Sequence[Vector]) -> Sample:
                return self._sample(query, *self._of_vector(query, series, now=now), now=now, warning=warning)

            return self._parted(some, self._result(answer, "vector", list[Vector]), read), bool(warning)

        return await self.company.ask(queries, one=self.instant, many=many)

    async def range_many(
        self, queries: Sequence[str], *, start: int, end: int, step: int
    ) -> list[TimeSeries | SourceError]:
        """As `range`, for each of the queries; at most 11,000 points."""
        span = {"start": str(start), "end": str(end), "step": str(step)}
        count = (end - start) // step + 1

        async def many(some: Sequence[str]) -> tuple[list[TimeSeries | SourceError], bool]:
            answer = await self._ask("query_range", self.company.query(some), span, retry=self._patient)

            def read(query: str, series: Sequence[Range]) -> TimeSeries:
                values = np.full(count, np.nan)
                several = self._fill(values, series, start=start, step=step)
                return self._history(query, values, [each.metric for each in series] * several, start=start, step=step)

            return self._parted(some, self._ranges(answer), read), self._tell_of(some[0], answer)

        async def one(query: str) -> TimeSeries:
            return await self.range(query, start=start, end=end, step=step)

        return await self.company.ask(queries, one=one, many=many)

    def _parted(
        self, queries: Sequence[str], found: Sequence[_S], read: Callable[[str, Sequence[_S]], _Result]
    ) -> list[_Result | SourceError]:
        """What each query makes of the series that are its own."""
        parts: list[list[_S]] = [[] for _ in queries]
        for series in found:
            part = self.company.part(series.metric)
            if part is None or part >= len(queries):
                raise self._not_promised("a series without the label that its query gives it")
            parts[part].append(series)
        results: list[_Result | SourceError] = []
        for query, part_of_it in zip(queries, parts, strict=True):
            try:
                results.append(read(query, part_of_it))
            except SourceError as error:
                results.append(error)
        return results

    def _sample(self, query: str, time: float, value: float, *, now: int, warning: str) -> Sample:
        """The value, if it is a load of now."""
        if not math.isfinite(value):
            raise NoData(
                f"query {_short(query)} gives {go_number(value)}, which is no load: a division by zero does that, "
                "for example a rate divided by a rate that is 0"
            )
        if abs(now - time) > _STALE_AFTER:
            age = f"{duration(now - time)} old" if now > time else f"{duration(time - now)} in the future"
            raise NoData(
                f"query {_short(query)} gives a value that is {age}: {self._fetcher.label} was asked for now; "
                "a cache between here and there, or a wrong clock, does that"
            )
        return Sample(time, value, warning="; ".join(filter(None, (warning, self._clock_note))))

    async def range(self, query: str, *, start: int, end: int, step: int) -> TimeSeries:
        """The samples at start, start + step, ... up to end; the module says what becomes a gap.

        Raises:
            TooManySeries: Wherever there is a value, there are several.
            InvalidSeries: `start` is off the grid.
        """
        total = max(0, (end - start) // step + 1)
        values = np.full(total, np.nan)
        crowd: list[Labels] = []
        for first in range(0, total, MAX_POINTS):
            count = min(MAX_POINTS, total - first)
            since = start + first * step
            span = {"start": str(since), "end": str(since + (count - 1) * step), "step": str(step)}
            answer = await self._ask("query_range", query, span, retry=self._patient)
            self._tell_of(query, answer)
            series = self._ranges(answer)
            if self._fill(values[first : first + count], series, start=since, step=step):
                crowd = crowd or [each.metric for each in series]
        return self._history(query, values, crowd, start=start, step=step)

    def _history(self, query: str, values: FloatArray, crowd: list[Labels], *, start: int, step: int) -> TimeSeries:
        """The samples; `crowd` is who was there where a value was expected of one."""
        if not np.isnan(values).all():
            return TimeSeries(start, step, values)
        if crowd:
            raise self._too_many(query, crowd)
        return TimeSeries(start, step, np.empty(0))

    def _tell_of(self, query: str, answer: Answer) -> bool:
        """Logs a warning about a history, once while it lasts; whether there is one."""
        warning = self._warning(answer)
        if warning and warning != self._warned_of:
            _log.warning("the history of query %s may be partial: %s", _short(query), warning)
        self._warned_of = warning
        return bool(warning)

    async def clock(self) -> float:
        """The server's own clock, epoch seconds: `time()` at the moment that the server takes for now."""
        answer = await self._ask("query", "time()", {}, retry=self._brief)
        return self._one_number("time()", answer, now=0)[1]

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _ask(self, endpoint: str, query: str, parameters: dict[str, str], *, retry: RetryPolicy) -> Answer:
        form = {"query": query, **parameters}
        reply = await self._fetcher.fetch(
            lambda: self._request(endpoint, form), retry=retry, refusal=lambda reply: self._refusal(query, reply)
        )
        self._look_at_clock(reply)
        answer = self._decoded(reply)
        if answer.status != "success" or answer.data is None:
            raise self._rejected(query, answer)
        return answer

    def _look_at_clock(self, reply: Reply) -> None:
        """We ask for now by our own clock: by another, that may be the load of ten minutes ago, or of no time yet."""
        ahead = clock_difference(reply, self._timing.now())
        self._clock_note = ""
        if abs(ahead) > _CLOCKS_APART:
            apart = f"{duration(round(abs(ahead), -1))} {'ahead of' if ahead > 0 else 'behind'} this machine's"
            self._clock_note = f"the clock of {self._fetcher.label} is {apart}: one of them is wrong"

    def _request(self, endpoint: str, form: dict[str, str]) -> httpx.Request:
        address = httpx.URL(self._spec.address)
        extra = [*address.params.multi_items(), *self._spec.query_parameters]
        if self._spec.namespace:
            extra.append(("namespace", self._spec.namespace))
        url = address.copy_with(path=f"{address.path.rstrip('/')}/api/v1/{endpoint}", query=None, fragment=None)
        # GET as KEDA does, so that access rules made for it fit; ours come first, as Go takes the first of a name.
        # Quoted, a text is never shorter, and quoting fifty queries to find that out takes milliseconds.
        if len(form["query"]) <= _LONGEST_TARGET:
            target = extended(url, [*form.items(), *extra])
            if len(target.query) <= _LONGEST_TARGET:
                return self._client.build_request("GET", target)
        return self._client.build_request("POST", extended(url, extra), data=form)

    def _refusal(self, query: str, reply: Reply) -> SourceError | None:
        label = self._fetcher.label
        answer = _readable(reply)
        if reply.status in {400, 422} and answer:
            return self._rejected(query, answer)
        if reply.status == 404:
            address = shown(self._spec.address)
            return ResponseMalformed(
                f"{label} has no Prometheus API at {address}/api/v1/query; the address is what comes before /api/v1, "
                "for example http://prometheus:9090 (Prometheus, Thanos), http://mimir:8080/prometheus (Mimir) or "
                "http://vmselect:8481/select/0/prometheus (VictoriaMetrics)"
            )
        detail = self._fetcher.quoted(answer.error) if answer else ""
        return status_error(label, reply, credentials=self._fetcher.credentials, detail=detail)

    def _rejected(self, query: str, answer: Answer) -> QueryRejected:
        said = self._fetcher.quoted(answer.error) or "it does not say why"
        return QueryRejected(f"{self._fetcher.label} refuses query {_short(query)}: {said}")

    def _decoded(self, reply: Reply) -> Answer:
        try:
            return _answers.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if reply.body.lstrip()[:1] == b"<":
                raise ResponseMalformed(
                    f"{self._fetcher.label} answers with a web page where Prometheus's JSON belongs: "
                    "is a login page or another service at this address?"
                ) from error
            raise self._not_promised(error) from error

    def _not_promised(self, why: object) -> ResponseMalformed:
        return ResponseMalformed(
            f"{self._fetcher.label} answers with JSON that is not Prometheus's: {self._fetcher.quoted(str(why))}"
        )

    def _result(self, answer: Answer, kind: str, wanted: type[_Result]) -> _Result:
        data = answer.data
        assert data is not None  # noqa: S101 -- _ask lets no answer without data through
        if data.kind != kind:
            raise self._not_promised(f"a {data.kind} where a {kind} belongs")
        try:
            return msgspec.json.decode(data.result, type=wanted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._not_promised(error) from error

    def _ranges(self, answer: Answer) -> list[Range]:
        """The series of a matrix. Reading numbers as they are decoded takes a third of the time."""
        data = answer.data
        if data is not None and data.kind == "matrix":
            with contextlib.suppress(msgspec.ValidationError, UnicodeDecodeError):
                return msgspec.json.decode(data.result, type=list[Range], strict=False)
        return [
            Range(each.metric, [(time, self._number(text)) for time, text in each.values])
            for each in self._result(answer, "matrix", list[RangeText])
        ]

    def _one_number(self, query: str, answer: Answer, *, now: int) -> tuple[float, float]:
        kind = answer.data.kind if answer.data else ""
        if kind == "scalar":
            time, text = self._result(answer, "scalar", tuple[float, str])
            return time, self._number(text)
        if kind in {"string", "matrix"}:
            what = "a string" if kind == "string" else "samples over a range"
            raise QueryRejected(
                f"query {_short(query)} gives {what} where one number is needed; "
                "write for example sum(rate(http_requests_total[2m]))"
            )
        return self._of_vector(query, self._result(answer, "vector", list[Vector]), now=now)

    def _of_vector(self, query: str, series: Sequence[Vector], *, now: int) -> tuple[float, float]:
        """Time and value of the one series that there should be."""
        if not series:
            if self._spec.ignore_null_values:
                return now, 0.0
            clock = f" ({self._clock_note})" if self._clock_note else ""
            raise NoData(
                f"query {_short(query)} has no result at {self._fetcher.label}: the metric is not there, or its target "
                f"has vanished{clock}; check the query, or set ignoreNullValues to true if no result means 0"
            )
        if len(series) > 1:
            raise self._too_many(query, [each.metric for each in series])
        if series[0].value is None:
            raise QueryRejected(
                f"query {_short(query)} gives a histogram where one number is needed; "
                "write for example histogram_count(...) or histogram_quantile(0.9, ...)"
            )
        time, text = series[0].value
        return time, self._number(text)

    def _number(self, text: str) -> float:
        try:
            return float(text)
        except ValueError as error:
            raise self._not_promised(f"{text[:40]!r} where a number belongs") from error

    def _fill(self, values: FloatArray, series: Sequence[Range], *, start: int, step: int) -> bool:
        """Puts the samples into `values` at their places; whether there were several at one moment."""
        taken = np.zeros(len(values), dtype=np.int64)
        for each in series:
            if not each.values:
                continue
            times, numbers = (np.array(column) for column in zip(*each.values, strict=True))
            places = np.rint((times - start) / step)
            off = times[np.abs(start + places * step - times) > _CLOCK_GRAIN]
            if len(off):
                raise self._not_promised(f"a sample at {off[0]} where multiples of {step} s were asked for")
            inside = (places >= 0) & (places < len(values))
            index = places[inside].astype(np.int64)
            if (np.diff(index) <= 0).any() and len(np.unique(index)) < len(index):  # they come in the order of time
                raise self._not_promised("several samples of one series at one time")
            values[index] = numbers[inside]
            taken[index] += 1
        values[(taken > 1) | np.isinf(values)] = np.nan
        return bool((taken > 1).any())

    def _too_many(self, query: str, labels: Sequence[Labels]) -> TooManySeries:
        shown_query = _short(query)
        return TooManySeries(
            f"query {shown_query} gives {len(labels)} series where one is needed, among them "
            f"{label_text(labels[0])} and {label_text(labels[1])}; aggregate them, for example with sum(...)"
        )

    def _warning(self, answer: Answer, *, together: bool = False) -> str:
        """What the source says beside its answer; asked together, that may speak of the queries of others."""
        words = [*answer.warnings, *answer.infos]
        if answer.partial:
            words.append("some storage nodes did not answer, the data is partial")
        if words and together:
            return f"{self._fetcher.label} warns of one of the queries that it was asked at once, maybe of this one"
        return f"{self._fetcher.label} warns: {self._fetcher.quoted('; '.join(words))}" if words else ""


def _readable(reply: Reply) -> Answer | None:
    """The envelope of a refusal, if it is one: words of other servers are none of a tenant's business."""
    try:
        answer = _answers.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return answer if answer.status == "error" else None


def _short(query: str) -> str:
    return repr(query if len(query) <= _LONGEST_QUERY else query[: _LONGEST_QUERY - 1] + "…")
