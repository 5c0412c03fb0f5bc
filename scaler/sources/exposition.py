"""A target's own /metrics page: the source where there is no Prometheus.

A query is a metric selector (`scaler.sources.selector`). The values of all matching series are summed, as a load is
wanted, not a series. Counters (by their TYPE, else by the suffix `_total`; and the `_count`, `_sum` and `_bucket` of
histograms, the `_count` and `_sum` of summaries) become a rate per second between two scrapes, so the first scrape
gives no value yet. `{S}` stands for the source, `{Q}` for the query; for HTTP see `scaler.sources.fetch`:

=================================  ==================  ==============================================================
the target answers                 error               text, or the value
=================================  ==================  ==============================================================
gauges                                                 their sum
counters, a second time                                the sum of their rates; a reset counts from 0, as in PromQL
counters, for the first time       NoData              `query {Q} counts: its rate is known after a second scrape …`
no matching series                 NoData              `query {Q} matches nothing at {S}: …`; 0 if ignoreNullValues
only new series since last time    NoData              as for the first time
a sum that is NaN or infinite      NoData              `query {Q} gives NaN, which is no load`
a query that is no selector        QueryRejected       `query {Q} is no metric selector: …`
something else than metrics        ResponseMalformed   `{S} does not answer in Prometheus's text format: …`
=================================  ==================  ==============================================================

A scrape has no past: `range` answers from what this object has scraped itself, up to a bound; the store keeps more.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeAlias

import httpx
import numpy as np
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from forecasting.series import TimeSeries
from scaler.errors import NoData, ResponseMalformed, SourceError
from scaler.sources.address import shown
from scaler.sources.answer import go_number
from scaler.sources.base import Sample
from scaler.sources.fetch import DEFAULT_MAX_BYTES, Fetcher, Reply, RetryPolicy, Timing, extended, status_error
from scaler.sources.selector import parse_selector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaler.sources.base import SourceSpec
    from scaler.sources.live import LiveSpec
    from scaler.sources.selector import Selector

__all__ = ["ExpositionSource"]

_KEPT = 11_000  # samples per query: 45 hours at a look every 15 s
_QUERIES = 64  # per source object; the engine opens one for each series
_FORGOTTEN_AFTER = 300.0  # seconds: Prometheus's own lookback; an older scrape says nothing about the rate now
_SOONEST = 1.0  # seconds: a rate over less is noise, so the last answer is given again
_COUNTING_SUFFIXES = {"histogram": ("_count", "_sum", "_bucket"), "summary": ("_count", "_sum")}
_FAMILY_SUFFIXES = ("_total", "_count", "_sum", "_bucket", "_created")

_SAMPLE_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Scraped:
    """The matching series of one scrape."""

    gauges: dict[_Key, float] = field(default_factory=dict)
    counters: dict[_Key, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Track:
    """What is known of one query."""

    selector: Selector
    last: _Scraped | None = None
    last_at: float = 0.0
    outcome: Sample | str | None = None  # of the last scrape: its value, or why there is none
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=_KEPT))


class ExpositionSource:
    """A target that is scraped directly; implements `MetricSource`.

    Args:
        spec: Address of the page (path `/metrics` if it has none) and credentials.
        client: Its connections; closed by `close`.
        retry: When to try again, within the specification's timeout in all.
        max_bytes: The most bytes of a page, decompressed.
        timing: Clocks and chance.
        live: The specification as its files have it, where several sources share it.

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
    ) -> None:
        self._spec = spec
        self._client = client
        self._timing = timing or Timing()
        self._fetcher = Fetcher(spec, client=client, max_bytes=max_bytes, timing=self._timing, live=live)
        self._retry = (retry or RetryPolicy()).within(spec.timeout)
        self._tracks: OrderedDict[str, _Track] = OrderedDict()

    async def instant(self, query: str) -> Sample:
        """Scrapes the target and gives the value of the query as of now."""
        track = self._track(query)
        if track.outcome is not None and 0 <= self._timing.now() - track.last_at < _SOONEST:
            return _again(track.outcome)
        reply = await self._fetcher.fetch(self._request, retry=self._retry, refusal=self._refusal)
        now = self._timing.now()
        # in a thread: a page of many megabytes must not hold up the other series
        scraped = await asyncio.to_thread(self._read, reply, track.selector, now)
        before, elapsed = track.last, now - track.last_at
        track.last, track.last_at = scraped, now
        if before is not None and not 0 < elapsed <= _FORGOTTEN_AFTER:
            before = None
        try:
            track.outcome = Sample(now, self._value(query, scraped, before, elapsed))
        except NoData as error:
            track.outcome = str(error)
            raise
        track.samples.append(track.outcome)
        return track.outcome

    async def range(self, query: str, *, start: int, end: int, step: int) -> TimeSeries:
        """What has been scraped so far, on the grid: the last sample within (t - step, t] is the one at t."""
        samples = self._track(query).samples
        pairs = [(each.time, each.value) for each in samples if start - step < each.time <= end]
        if not pairs:
            return TimeSeries(start, step, np.empty(0))
        scraped = TimeSeries.from_samples(pairs, step=step)
        values = np.full((end - start) // step + 1, np.nan)
        offset = (scraped.start - start) // step
        values[offset : offset + len(scraped)] = scraped.values
        return TimeSeries(start, step, values)

    async def clock(self) -> float:
        """The target's own clock, epoch seconds, by its answer's Date: whole seconds, up to one behind.

        Raises:
            NoData: The answer has no date.
        """
        reply = await self._fetcher.fetch(self._request, retry=self._retry, refusal=self._refusal)
        try:
            return parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
        except ValueError:
            raise NoData(f"{self._fetcher.label} does not say what time it is: its answer has no Date") from None

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    def _track(self, query: str) -> _Track:
        track = self._tracks.get(query)
        if track is None:
            track = self._tracks[query] = _Track(parse_selector(query))
            if len(self._tracks) > _QUERIES:
                self._tracks.popitem(last=False)
        self._tracks.move_to_end(query)
        return track

    def _request(self) -> httpx.Request:
        url = httpx.URL(self._spec.address)
        if url.path in {"", "/"}:
            url = url.copy_with(path="/metrics")
        url = extended(url, self._spec.query_parameters)
        return self._client.build_request("GET", url, headers={"Accept": "text/plain;version=0.0.4"})

    def _refusal(self, reply: Reply) -> SourceError | None:
        return status_error(self._fetcher.label, reply, credentials=self._fetcher.credentials)

    def _read(self, reply: Reply, selector: Selector, now: float) -> _Scraped:
        openmetrics = reply.headers.get("content-type", "").startswith("application/openmetrics-text")
        scraped = _Scraped()
        try:
            text = reply.body.decode()
            lines = list(_relevant(text, selector.name))
            if not lines:
                _check_page(text)
            page = "\n".join([*lines, "# EOF\n"])
            for family in (parse_openmetrics if openmetrics else parse_text)(page):
                for sample in family.samples:
                    counts = _counts(family.type, sample.name)
                    unsuffixed = family.type == "counter" and sample.name == f"{selector.name}_total"
                    if not (sample.name == selector.name or unsuffixed) or not selector.matches(sample.labels):
                        continue
                    if sample.timestamp is not None and float(sample.timestamp) < now - _FORGOTTEN_AFTER:
                        continue
                    series = scraped.counters if counts else scraped.gauges
                    series[sample.name, tuple(sorted(sample.labels.items()))] = float(sample.value)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            # the parser lets many kinds of errors through on broken lines
            raise ResponseMalformed(
                f"{self._fetcher.label} does not answer in Prometheus's text format: "
                f"is {shown(self._spec.address)} the address of a metrics page?"
            ) from error
        return scraped

    def _value(self, query: str, scraped: _Scraped, before: _Scraped | None, elapsed: float) -> float:
        if not scraped.gauges and not scraped.counters:
            if self._spec.ignore_null_values:
                return 0.0
            raise NoData(
                f"query {query!r} matches nothing at {self._fetcher.label}: check the metric's name and the labels, "
                "or set ignoreNullValues to true if no match means 0"
            )
        value = math.fsum(scraped.gauges.values()) if scraped.gauges else 0.0
        if scraped.counters:
            known = before.counters if before else {}
            common = scraped.counters.keys() & known.keys()
            if not common:
                raise NoData(
                    f"query {query!r} counts: its rate is known after a second scrape of {self._fetcher.label}"
                )
            value += math.fsum(_increase(known[key], scraped.counters[key]) for key in common) / elapsed
        if not math.isfinite(value):
            raise NoData(f"query {query!r} gives {go_number(value)}, which is no load")
        return value


def _again(outcome: Sample | str) -> Sample:
    if isinstance(outcome, str):
        raise NoData(outcome)
    return outcome


def _relevant(text: str, name: str) -> Iterator[str]:
    """The lines about the metric: parsing a page of 100,000 others would hold up everything else."""
    families = {name, *(name.removesuffix(suffix) for suffix in _FAMILY_SUFFIXES)}
    inside = False
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("#"):
            words = line.split(None, 3)
            if len(words) > 3 and words[1] == "TYPE":
                inside = words[2] in families
                if inside:
                    yield line
        elif inside or _sample_name(line) in {name, f"{name}_total"}:
            yield line


def _sample_name(line: str) -> str:
    match = _SAMPLE_NAME.match(line)
    return match[0] if match else ""


def _check_page(text: str) -> None:
    """Raises ValueError and the like if the first sample of the page is none."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            for _ in parse_text(f"{line}\n"):
                pass
            return


def _counts(kind: str, name: str) -> bool:
    if kind == "counter":
        return not name.endswith("_created")
    if kind in _COUNTING_SUFFIXES:
        return name.endswith(_COUNTING_SUFFIXES[kind])
    return kind in {"unknown", "untyped"} and name.endswith("_total")


def _increase(before: float, after: float) -> float:
    return after - before if after >= before else after  # a counter that fell began again at 0
