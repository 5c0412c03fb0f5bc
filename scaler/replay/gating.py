"""The gate over the past: the server's own, fed sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.decision.gate import GateRule, GateState, Recent, Standing, issue, judge, update
from scaler.events.agenda import Agenda, masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from forecasting.series import TimeSeries
    from scaler.decision import DecisionPolicy
    from scaler.events import Event

__all__ = ["GateChange", "GateLog", "gate_log", "gate_states"]


@dataclass(frozen=True, slots=True)
class GateChange:
    """The gate has demoted the forecast, or trusts it again.

    Attributes:
        time: Of the sample with which it did, epoch seconds.
        trusted: From then on.
        verdict: Why, in words.
    """

    time: int
    trusted: bool
    verdict: str


@dataclass(frozen=True, slots=True)
class GateLog:
    """What the gate did over a replay.

    Attributes:
        demoted: Part of the samples after which the forecast took no part.
        changes: In the order of time.
        last: What it says at the end, in words.
        gain: As `scaler.decision.gate.Judgement.gain`, over the last day of the replay.
        coverage: Likewise.
    """

    demoted: float
    changes: tuple[GateChange, ...]
    last: str
    gain: float | None
    coverage: float | None


def gate_log(series: TimeSeries, states: Sequence[GateState], *, quantile: float, since: int) -> GateLog:
    """The log of the states right after each sample, as of `gate_states`, from this time on."""
    rule, changes, demoted, counted = GateRule(quantile=quantile), list[GateChange](), 0, 0
    before = False
    for sample, state in enumerate(states):
        now, out = series.start + sample * series.step, state.standing is Standing.DEMOTED
        if now >= since:
            counted, demoted = counted + 1, demoted + out
            if out is not before:
                changes.append(GateChange(now, not out, judge(state, rule).verdict))
        before = out
    last = judge(states[-1], rule)
    return GateLog(demoted / max(1, counted), tuple(changes), last.verdict, last.gain, last.coverage)


def gate_states(
    series: TimeSeries,
    policy: DecisionPolicy,
    *,
    quantiles: Sequence[float],
    peaks: Sequence[Sequence[float]],
    highest: Sequence[float],
    events: Iterable[Event] = (),
) -> list[GateState]:
    """What the gate remembers right after each sample, of what was known then.

    Args:
        series: The load.
        policy: What is served by.
        quantiles: The level of each of `peaks`.
        peaks: Forecasts made after each sample; NaN where none was made.
        highest: The highest load of the history window at each sample.
        events: What is announced: that is no fault of a forecast's.
    """
    state, states = GateState(), list[GateState]()
    rules = {quantile: GateRule(quantile=quantile) for quantile in set(quantiles)}
    values = series.values.tolist()
    outcomes = masked(series, [Agenda(events)]).values.tolist()
    for sample, peak in enumerate(peaks):
        end = series.start + sample * series.step
        made = peak[0] == peak[0]  # only NaN is not itself
        issued = None
        if made:
            issued = issue(
                policy, origin=end, step=series.step, peak=peak, last=values[sample], highest=highest[sample]
            )
        if issued is None and not state.open and not state.hours:
            states.append(state)  # nothing to judge yet
            continue
        since = state.open[0].origin if state.open else end
        seen = outcomes[sample - (end - since) // series.step : sample + 1]
        state = update(state, rules[quantiles[sample]], Recent(end, series.step, seen), issued)
        states.append(state)
    return states
