"""The gate: whether the forecast may take part, judged by what serving it did and would have done.

A forecast only ever adds to `headroom x observed`, so the question is not whether it beats some forecast of
persistence on its own, but whether persistence *as it would be served* is better off with it. Two values are
compared at every resolved forecast, by the pinball loss at the trigger's quantile q of the peak y that came in the
decision's window (Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978)::

    with     max(headroom x last, min(forecast, cap))        loss(v) = q (y - v)        if y > v
    without  headroom x last, which is what demotion serves            (1 - q) (v - y)  otherwise

That loss is the newsvendor's cost (Arrow, Harris and Marschak, "Optimal inventory policy", Econometrica 19, 1951) in
the price that the user has set: q / (1 - q) units of idle capacity for a unit that is missing. Pinball loss is
consistent for the quantile (Gneiting, "Making and evaluating point forecasts", JASA 106, 2011): a true
conditional quantile never loses here in expectation, and whoever loses for long costs the user more than plain KEDA.

`gain` is the difference of both sums over a sliding window, in parts of the larger: in [-1, 1], 0 if the forecast
made no difference. Demoted forecasts are judged on, so that the way back needs no trial.

Coverage is that of the forecast itself: one that keeps its promise of not being exceeded gets the benefit of the
doubt, one that does not must earn its place.

State in, state out; times are those of samples. Sums are kept by the hour, so that a state is small.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from scaler.decision.decide import highest_forecast
from scaler.words import duration, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler.decision.decision import DecisionPolicy

__all__ = [
    "Evidence",
    "GateRule",
    "GateState",
    "Hour",
    "Issued",
    "Judgement",
    "Recent",
    "Standing",
    "evidence",
    "issue",
    "judge",
    "keeps_promise",
    "update",
]

_MOST_MISSING = 0.2
"""Of the samples of a window; with more of them missing its peak is not known."""

_MATERIAL = 0.1
"""What a forecast has cost lately counts from this part of the whole window's loss on: a quiet night does not."""


class Standing(Enum):
    """What the gate says of a trigger's forecasts."""

    PROBATION = "on probation"  # too few have resolved; they take part
    TRUSTED = "trusted"
    DEMOTED = "demoted"  # they do not take part


class GateRule(msgspec.Struct, frozen=True, kw_only=True):
    """How strict the gate is.

    Attributes:
        quantile: The level that the forecasts are for.
        window: Seconds of evidence, by the forecasts' origins.
        min_resolved: Resolved forecasts before anything is said,
        min_span: and seconds from the first of them to the last.
        demote_below: Demoted with less gain than this,
        demote_broken_below: or this, if coverage is not as promised,
        recent: or if over so many seconds the gain
        demote_recent_below: is less than this, and what that cost is a tenth of the whole window's at least.
        restore_from: Trusted again from this gain on, recent and whole; above the others, that is the hysteresis.
        stands: Seconds for which a verdict stands at least.
    """

    quantile: float
    window: int = 86400
    min_resolved: int = 12
    min_span: int = 3 * 3600
    demote_below: float = -0.1
    demote_broken_below: float = -0.05
    recent: int = 6 * 3600
    demote_recent_below: float = -0.3
    restore_from: float = 0.0
    stands: int = 3600


class Issued(msgspec.Struct, frozen=True, array_like=True):
    """A forecast that was made, and what it would have come to.

    Attributes:
        origin: Time of the last sample that it has seen, epoch seconds.
        until: End of the decision's window, on the grid: the peak is that of the samples in (origin, until].
        forecast: The quantile of that peak, before caps.
        served: headroom x last or the capped forecast, whichever is larger.
        floor: headroom x last.
    """

    origin: int
    until: int
    forecast: float
    served: float
    floor: float


class Hour(msgspec.Struct, frozen=True, array_like=True):
    """Sums over the forecasts issued within one hour: their number, those exceeded, both losses."""

    start: int
    resolved: int = 0
    exceeded: int = 0
    loss_with: float = 0.0
    loss_without: float = 0.0


class GateState(msgspec.Struct, frozen=True, array_like=True):
    """All that the gate remembers of a trigger.

    Attributes:
        standing: The verdict.
        since: Time of the sample with which it changed last, epoch seconds; 0: never.
        open: Forecasts whose window is not over yet, oldest first.
        hours: Evidence, oldest first.
    """

    standing: Standing = Standing.PROBATION
    since: int = 0
    open: tuple[Issued, ...] = ()
    hours: tuple[Hour, ...] = ()


class Recent(msgspec.Struct, frozen=True):
    """The newest samples of the series: `values[-1]` is that of time `end`, missing ones are NaN."""

    end: int
    step: int
    values: list[float]

    def peak(self, after: int, until: int) -> float | None:
        """The highest sample in (after, until]; None if too many are missing, or too long ago."""
        first = len(self.values) - 1 - (self.end - after) // self.step + 1
        stop = first + (until - after) // self.step
        if first < 0:
            return None
        known = [value for value in self.values[first:stop] if value == value]  # noqa: PLR0124  # only NaN is not itself
        if not known or (stop - first - len(known)) > _MOST_MISSING * (stop - first):
            return None
        return max(known)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the window shows.

    Attributes:
        resolved: Forecasts whose window is over.
        span: Seconds between the hours of the first and the last, the last included.
        loss_with: Of what is served with the forecast,
        loss_without: and of what is served without it.
        coverage: Part of the peaks at or below their forecast.
    """

    resolved: int
    span: int
    loss_with: float
    loss_without: float
    coverage: float

    @property
    def gain(self) -> float:
        """Loss avoided by the forecast, in parts of the larger loss; negative: it costs."""
        larger = max(self.loss_with, self.loss_without)
        return (self.loss_without - self.loss_with) / larger if larger else 0.0


def keeps_promise(coverage: float, quantile: float) -> bool:
    """Whether coverage is near what was promised; a day of overlapping windows cannot tell it closely.

    Args:
        coverage: Part of the peaks at or below their forecast.
        quantile: The part promised.
    """
    exceeding = 1.0 - quantile
    return 1.0 - coverage <= exceeding + 0.05 + min(exceeding, 0.15)


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a state comes to, for decisions and for people.

    Attributes:
        trusted: The forecast takes part.
        verdict: Why, in words.
        gain: As `Evidence.gain`; None while there is too little evidence.
        coverage: As `Evidence.coverage`; None likewise.
    """

    trusted: bool = True
    verdict: str = ""
    gain: float | None = None
    coverage: float | None = None


def issue(
    policy: DecisionPolicy, *, origin: int, step: int, peak: Sequence[float], last: float, highest: float
) -> Issued | None:
    """What a forecast made after this sample comes to, with the trigger's own arithmetic.

    Args:
        policy: What the trigger's user wants.
        origin: Time of the sample, epoch seconds.
        step: Seconds between samples.
        peak: The forecast: peak[h - 1] is the quantile of the maximum over the next h steps.
        last: The sample.
        highest: The highest load of the history window.

    Returns:
        None where nothing could have been served: the sample is missing, or no load.
    """
    if not 0.0 <= last < math.inf:
        return None
    steps = min(max(1, math.ceil(policy.window / step)), len(peak))
    forecast, floor = peak[steps - 1], policy.headroom * last
    ahead = min(forecast, highest_forecast(policy, highest=highest, observed=last))
    return Issued(origin, origin + steps * step, forecast, max(floor, ahead), floor)


def update(state: GateState, rule: GateRule, recent: Recent, issued: Issued | None) -> GateState:
    """The state after a new sample.

    Args:
        state: Before.
        rule: How strict to be; the same in every call for a trigger.
        recent: The newest samples, at least those of one window.
        issued: The forecast made from the newest of them; None if there is none, or it was told already.
    """
    waiting, hours = [], list(state.hours)
    for one in state.open:
        if one.until > recent.end:
            waiting.append(one)
            continue
        peak = recent.peak(one.origin, one.until)
        if peak is not None:
            _count(hours, one, peak, rule.quantile)
    if issued is not None and (not state.open or issued.origin > state.open[-1].origin):
        waiting.append(issued)
    expired = 0
    while expired < len(hours) and hours[expired].start + 3600 <= recent.end - rule.window:
        expired += 1
    kept = tuple(hours[expired:])
    standing = _judged(state, rule, kept, recent.end)
    since = state.since if standing is state.standing else recent.end
    return GateState(standing, since, tuple(waiting), kept)


def evidence(hours: Sequence[Hour]) -> Evidence:
    """The sums over these hours."""
    resolved = exceeded = 0
    loss_with = loss_without = 0.0
    for hour in hours:
        resolved += hour.resolved
        exceeded += hour.exceeded
        loss_with += hour.loss_with
        loss_without += hour.loss_without
    return Evidence(
        resolved=resolved,
        span=hours[-1].start + 3600 - hours[0].start if hours else 0,
        loss_with=loss_with,
        loss_without=loss_without,
        coverage=1.0 - exceeded / max(1, resolved),
    )


def judge(state: GateState, rule: GateRule) -> Judgement:
    """Whether the forecast takes part, and why."""
    whole = evidence(state.hours)
    if state.standing is Standing.PROBATION:
        return Judgement(
            verdict="the forecast is on probation and takes part: "
            f"{plural(whole.resolved, 'forecast')} put to the test so far, "
            f"it is judged by {rule.min_resolved} over {duration(rule.min_span)}"
        )
    demoted = state.standing is Standing.DEMOTED
    lately = evidence(_lately(state.hours, rule))
    shown, over = (lately, rule.recent) if demoted and lately.gain < whole.gain else (whole, rule.window)
    over_last = f"over the last {duration(min(over, shown.span))}"
    if shown.gain < 0.0:
        effect = f"{over_last}, {_percent(-shown.gain)} of the cost of errors came from it"
    else:
        effect = f"{over_last}, it avoided {_percent(shown.gain)} of the cost of errors"
    return Judgement(
        trusted=not demoted,
        verdict=f"the gate {'has demoted' if demoted else 'trusts'} the forecast: {effect}, and "
        f"{_percent(shown.coverage)} of the peaks stayed at or below it, promised are {_percent(rule.quantile)}",
        gain=whole.gain,
        coverage=whole.coverage,
    )


def _percent(part: float) -> str:
    return f"{100.0 * part:.3g} %"


def _count(hours: list[Hour], one: Issued, peak: float, quantile: float) -> None:
    """Adds what came of a forecast to the hour of its origin, most often the last one."""
    start, at = one.origin // 3600 * 3600, len(hours)
    while at and hours[at - 1].start > start:
        at -= 1
    if not at or hours[at - 1].start < start:
        hours.insert(at, Hour(start))
        at += 1
    hour = hours[at - 1]
    hours[at - 1] = Hour(
        hour.start,
        hour.resolved + 1,
        hour.exceeded + (peak > one.forecast),
        hour.loss_with + _loss(one.served, peak, quantile),
        hour.loss_without + _loss(one.floor, peak, quantile),
    )


def _loss(value: float, peak: float, quantile: float) -> float:
    return quantile * (peak - value) if peak > value else (1.0 - quantile) * (value - peak)


def _judged(state: GateState, rule: GateRule, hours: Sequence[Hour], now: int) -> Standing:
    whole = evidence(hours)
    if whole.resolved < rule.min_resolved or whole.span < rule.min_span:
        return Standing.PROBATION
    if state.standing is not Standing.PROBATION and now - state.since < rule.stands:
        return state.standing
    lately = evidence(_lately(hours, rule))
    if state.standing is Standing.DEMOTED:
        better = min(whole.gain, lately.gain) >= rule.restore_from
        return Standing.TRUSTED if better else Standing.DEMOTED
    least = rule.demote_below if keeps_promise(whole.coverage, rule.quantile) else rule.demote_broken_below
    went_bad = lately.gain < rule.demote_recent_below and _excess(lately) > _MATERIAL * whole.loss_without
    return Standing.DEMOTED if went_bad or whole.gain < least else Standing.TRUSTED


def _lately(hours: Sequence[Hour], rule: GateRule) -> Sequence[Hour]:
    first, before = len(hours), hours[-1].start - rule.recent if hours else 0
    while first and hours[first - 1].start > before:  # from the end: it is a few of a day's
        first -= 1
    return hours[first:]


def _excess(seen: Evidence) -> float:
    return seen.loss_with - seen.loss_without
