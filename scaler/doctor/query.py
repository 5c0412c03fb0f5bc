"""A query: what it gives now, its past, and what kind of signal it seems to be."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaler.doctor.check import Check, Finding, fail, good, warn
from scaler.errors import NoData, SourceError
from scaler.kinds import HOUR
from scaler.times import iso
from scaler.trigger.config import MAX_SAMPLES, MIN_SAMPLES
from scaler.trigger.signal import rate_windows, replica_dependent
from scaler.words import duration, number

if TYPE_CHECKING:
    from forecasting.series import FloatArray, TimeSeries
    from scaler.doctor.source import Tools
    from scaler.sources.base import MetricSource, Sample, SourceSpec

__all__ = ["Question", "past_check", "query_checks"]

_COVERED = 0.98  # of the window: the oldest sample may be a little younger
_GAPS = 0.05  # share of samples: more of them than that and the seasons show holes
_LONG_GAP = HOUR
_SECOND_SCRAPE = 1.5  # seconds after the first: counters become rates then
_SAMPLED = (("15m", 900.0), ("2m", 120.0))  # where to count samples; the latter for series that are young
_RATES_LOOKED_AT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a trigger would ask.

    Attributes:
        query: As in its metadata.
        step: Seconds between samples: `queryStep`.
        window: Seconds of history: `historyTimeWindow`.
    """

    query: str
    step: int
    window: float

    @property
    def samples(self) -> int:
        """Of the whole window."""
        return int(self.window // self.step)


def query_checks(
    about: str, spec: SourceSpec, question: Question, tools: Tools, *, retention: float, needs: Check
) -> list[Check]:
    """Checks of a query.

    Args:
        about: What reports call it.
        spec: The source that it is asked of.
        question: The query, its step and window.
        tools: What to reach out with.
        retention: Seconds that the server keeps samples for.
        needs: That the source answers.
    """
    steps = _Steps(spec, question, tools)

    async def window() -> Finding:
        return _window(question, retention)

    async def signal() -> Finding:
        reasons = replica_dependent(question.query)
        if not reasons:
            return good("it seems to be a total, whatever the number of replicas")
        return warn(
            f"it seems to depend on the number of replicas, which makes a feedback loop: {'; '.join(reasons)}",
            "give the total, such as sum(rate(http_requests_total[2m])), and what one replica carries as threshold",
        )

    value = Check(
        about=about, name="value", ask=steps.value, mend="mend the query: try it in the source's own page", needs=needs
    )
    return [
        Check(about=about, name="window", ask=window),
        Check(about=about, name="signal", ask=signal),
        value,
        Check(about=about, name="rates", ask=steps.rates, needs=value),
        Check(
            about=about,
            name="history",
            ask=steps.history,
            mend="ask for less with a coarser --step or a shorter --window, or raise the source's timeout",
            needs=value,
        ),
    ]


def past_check(about: str, spec: SourceSpec, tools: Tools, *, window: float, needs: Check) -> Check:
    """How far back a Prometheus goes, whatever the query: by `up`, which every one writes for its targets."""
    step = max(60, int(window / 1000) // 60 * 60)

    async def past() -> Finding:
        if spec.kind != "prometheus":
            return good("a metrics page has no past: the history is what the server scrapes from the first call on")
        with suppress(NoData):
            series = await _range(spec, Question(query="count(up)", step=step, window=window), tools)
            known = np.flatnonzero(~np.isnan(series.values))
            if len(known):
                return _covered(float(series.times()[known[0]]), window, tools.now())
        return good("not known: it has no metric up; give a --query to see how far that goes back")

    return Check(about=about, name="past", ask=past, needs=needs)


def _window(question: Question, retention: float) -> Finding:
    samples = question.samples
    made = f"{duration(question.window)} at a step of {duration(question.step)} are {samples} samples"
    if not MIN_SAMPLES <= samples <= MAX_SAMPLES:
        return fail(made, f"choose step and window so that there are {MIN_SAMPLES} to {MAX_SAMPLES}")
    if question.window > retention:
        return warn(
            f"{made}; the server keeps {duration(retention)}", "raise history_retention, or shorten historyTimeWindow"
        )
    return good(made)


def _covered(oldest: float, window: float, now: float) -> Finding:
    reach = now - oldest
    found = f"its oldest sample is {duration(reach)} old ({iso(oldest)})"
    if reach >= window * _COVERED:
        return good(found if reach < window else f"{found}, or older")
    return warn(
        f"{found}, less than the {duration(window)} asked for",
        "forecasts learn from what there is; for more, raise Prometheus's --storage.tsdb.retention.time (15d by "
        "default) and wait, ask a long-term store such as Thanos, or shorten historyTimeWindow",
    )


async def _range(spec: SourceSpec, question: Question, tools: Tools) -> TimeSeries:
    """The last complete samples of the window, on the grid that the server uses."""
    source = tools.pool.open(spec)
    end = int(tools.now() // question.step) * question.step
    start = end - (question.samples - 1) * question.step
    try:
        return await source.range(question.query, start=start, end=end, step=question.step)
    finally:
        await source.close()


class _Steps:
    def __init__(self, spec: SourceSpec, question: Question, tools: Tools) -> None:
        self._spec = spec
        self._question = question
        self._tools = tools

    async def value(self) -> Finding:
        source = self._tools.pool.open(self._spec)
        try:
            sample = await self._sample(source)
        finally:
            await source.close()
        found = f"it gives one value: {number(sample.value)}"
        if sample.value < 0:
            return fail(f"{found}, which no HPA can take", "a load is not negative: wrap it as clamp_min(..., 0)")
        if sample.warning:
            return warn(
                f"{found}; {sample.warning}", "what the source warns of makes the value doubtful: mend it there"
            )
        return good(found)

    async def _sample(self, source: MetricSource) -> Sample:
        """The newest value; of a metrics page after a second look, as counters give none at the first."""
        try:
            return await source.instant(self._question.query)
        except NoData:
            if self._spec.kind != "exposition":
                raise
        await self._tools.sleep(_SECOND_SCRAPE)
        return await source.instant(self._question.query)

    async def rates(self) -> Finding:
        """Whether the rates' windows hold two samples, whatever the moment."""
        windows = rate_windows(self._question.query)
        if self._spec.kind != "prometheus" or not windows:
            return good("it takes no rates over raw samples")
        seen = []
        for each in windows[:_RATES_LOOKED_AT]:
            interval = await self._interval(each.selector)
            if interval is None:
                continue
            seen.append(f"{each.function} over {duration(each.seconds)} of samples about {duration(interval)} apart")
            if each.seconds < 2 * interval:
                return warn(
                    f"{seen[-1]}: it often has fewer than the two samples that it needs, and is empty then",
                    f"make it [{duration(4 * interval)}] or longer: four scrapes bear the loss of one",
                )
        return good("; ".join(seen) or "how far apart the samples are is not known")

    async def _interval(self, selector: str) -> float | None:
        """Seconds between raw samples, by counting them; None if that cannot be found out."""
        source = self._tools.pool.open(self._spec)
        found = []
        try:
            for window, seconds in _SAMPLED:
                with suppress(SourceError):
                    counted = await source.instant(f"max(count_over_time({selector}[{window}]))")
                    found.append(seconds / counted.value if counted.value else math.inf)
        finally:
            await source.close()
        return min(found, default=None)

    async def history(self) -> Finding:
        if self._spec.kind != "prometheus":
            return good("a metrics page has no past: the history is what the server scrapes from the first call on")
        series = await _range(self._spec, self._question, self._tools)
        known = np.flatnonzero(~np.isnan(series.values))
        if not len(known):
            return warn(
                f"no sample in the last {duration(self._question.window)}",
                "the observed load is served until there is a history; is the metric new, or renamed?",
            )
        since = series.values[known[0] :]
        gaps, longest = _gaps(since)
        span = f"{len(known)} samples since {iso(float(series.times()[known[0]]))}"
        step = self._question.step
        missing = f"{gaps / len(since):.1%} missing" + (f", the longest gap {duration(longest * step)}" if gaps else "")
        covered = _covered(float(series.times()[known[0]]), self._question.window, self._tools.now())
        if (since[~np.isnan(since)] < 0).any():
            return warn(f"{span}, some of them negative", "a load is not negative: wrap it as clamp_min(..., 0)")
        if gaps / len(since) > _GAPS or longest * step > _LONG_GAP:
            return warn(f"{span}, {missing}", "gaps up to a season are filled by guesses: see why scrapes are missed")
        if covered.mend:
            return warn(f"{span}, {missing}; {covered.found}", covered.mend)
        return good(f"{span}, {missing}")


def _gaps(values: FloatArray) -> tuple[int, int]:
    """Number of missing samples, and of the most in a row."""
    missing = np.isnan(values)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return int(missing.sum()), int(runs.max(initial=0))
