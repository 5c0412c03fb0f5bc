"""The gate over the past: the server's own, fed sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.decision.gate import GateRule, GateState, Recent, issue, update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import TimeSeries
    from scaler.decision import DecisionPolicy

__all__ = ["gate_states"]


def gate_states(
    series: TimeSeries,
    policy: DecisionPolicy,
    *,
    quantile: float,
    peaks: Sequence[Sequence[float]],
    highest: Sequence[float],
) -> list[GateState]:
    """What the gate remembers right after each sample, of what was known then.

    Args:
        series: The load.
        policy: What is served by.
        quantile: The level of `peaks`.
        peaks: Forecasts made after each sample; NaN where none was made.
        highest: The highest load of the history window at each sample.
    """
    rule, state, states = GateRule(quantile=quantile), GateState(), []
    values = series.values.tolist()
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
        seen = values[sample - (end - since) // series.step : sample + 1]
        state = update(state, rule, Recent(end, series.step, seen), issued)
        states.append(state)
    return states
