"""What is served at each sync: plain KEDA, the trick of looking one week back, and Foresail itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.levels import DEFAULT_LEVEL
from scaler.decision import Outlook, Snapshot, Source, decide, stands_until
from scaler.decision.gate import Standing
from scaler.errors import ValueUnknown, ValueUnservable
from scaler.events.agenda import Agenda
from scaler.replay.gating import gate_log, gate_states

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from forecasting.series import FloatArray, TimeSeries
    from scaler.decision import DecisionPolicy, Occurrence
    from scaler.decision.gate import GateState
    from scaler.events import Event
    from scaler.replay.demand import Demand
    from scaler.replay.gating import GateLog

__all__ = ["Outlooks", "Peaks", "Served", "foresail", "offset", "reactive"]

WEEK = 7 * 86400
_OFFSET_AHEAD = 30 * 60  # seconds


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A policy's answers, one per sync.

    Attributes:
        value: Shape (syncs,); NaN where the policy answers with an error.
        active: Whether the workload should run at all, shape (syncs,).
        reasons: What set the value, per sync: "observed", "forecast", "cap", "demoted" (observed, because
            the gate does not trust the forecast), "a week ago", "unknown", ...
        gate: What the gate did; None where there is none.
    """

    value: FloatArray
    active: NDArray[np.bool_]
    reasons: tuple[str, ...]
    gate: GateLog | None = None

    def in_thousandths(self) -> list[int | None]:
        """The values as the HPA counts them; None where there is none."""
        # the cast to int64 cuts off as KEDA does
        whole = (np.nan_to_num(self.value) * 1000).astype(np.int64).tolist()
        missing = np.isnan(self.value).tolist()
        return [None if unknown else count for count, unknown in zip(whole, missing, strict=True)]


def reactive(demand: Demand, *, headroom: float = 1.0, activation: float = 0.0) -> Served:
    """Plain KEDA: the observed load, times a headroom (an HPA at 80 % target is headroom 1.25)."""
    observed = demand.observed
    reasons = tuple(np.where(np.isnan(observed), "unknown", "observed").tolist())
    return Served(headroom * observed, np.nan_to_num(observed) > activation, reasons)


def offset(demand: Demand, series: TimeSeries, *, headroom: float = 1.0, activation: float = 0.0) -> Served:
    """The observed load or, if larger, the maximum of the coming 30 minutes one week ago, times a headroom.

    The trick of a query's `offset` that Grafana Mimir ships for scaling its own queriers. Where there is no week
    of history yet, it is plain KEDA.
    """
    plain = reactive(demand, headroom=headroom, activation=activation)
    span = max(1, _OFFSET_AHEAD // series.step)
    known = np.where(np.isnan(series.values), -np.inf, series.values)
    windows = np.lib.stride_tricks.sliding_window_view(np.append(known, np.full(span, -np.inf)), span + 1)
    past = demand.sample - WEEK // series.step
    ahead = headroom * np.where(past >= 0, windows.max(axis=1)[np.maximum(past, 0)], -np.inf)
    higher = ahead > plain.value  # not where the load is unknown: an error is an error here, too
    value = np.where(higher, ahead, plain.value)
    reasons = tuple(np.where(higher, "a week ago", np.array(plain.reasons)).tolist())
    return Served(value, np.nan_to_num(value) > activation, reasons)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Peaks:
    """Forecasts made after each sample of a series, each from the samples up to it.

    Attributes:
        forecaster: Name of the method that made them.
        quantile: The level of `values`; None: chosen with each fit.
        values: values[n, h - 1] is the quantile of the maximum over the first h steps after sample n; shape
            (samples, horizon). A row of NaN: no forecast was made there.
        highest: The highest load of the history window at each sample, shape (samples,).
        gated: Whether the gate judges them; not those of other programs, which have none.
        levels: If chosen: the level at each sample, shape (samples,).
    """

    forecaster: str
    quantile: float | None
    values: FloatArray
    highest: FloatArray
    gated: bool = True
    levels: FloatArray | None = None

    def promised(self) -> list[float]:
        """The quantile level of the forecast made after each sample."""
        if self.quantile is not None:
            return [self.quantile] * len(self.values)
        if self.levels is None:
            return [DEFAULT_LEVEL] * len(self.values)
        return list(np.where(np.isnan(self.levels), DEFAULT_LEVEL, self.levels).tolist())

    @property
    def mean_level(self) -> float:
        """The mean of the levels of all forecasts."""
        if self.quantile is not None or self.levels is None or np.isnan(self.levels).all():
            return self.quantile or DEFAULT_LEVEL
        return float(np.nanmean(self.levels))

    def gate(self, series: TimeSeries, policy: DecisionPolicy, events: Iterable[Event] = ()) -> list[GateState] | None:
        """The gate's state right after each sample; None without a gate."""
        if not self.gated:
            return None
        peaks, highest = self.values.tolist(), self.highest.tolist()
        return gate_states(series, policy, quantiles=self.promised(), peaks=peaks, highest=highest, events=events)


class Outlooks:
    """What the engine would have known right after each sample.

    Args:
        peaks: The forecasts.
        series: The load.
        gate: The gate's states, as `Peaks.gate` gives them; None: no gate.
    """

    def __init__(self, peaks: Peaks, series: TimeSeries, gate: Sequence[GateState] | None) -> None:
        self._series, self._gate, self._forecaster = series, gate, peaks.forecaster
        # lists: single elements of arrays are slow to come by, and here they all are
        self._peaks, self._promised, self._highest = peaks.values.tolist(), peaks.promised(), peaks.highest.tolist()

    def after(self, sample: int) -> Outlook | None:
        """Right after that sample; None before the first, and where there was no forecast."""
        if sample < 0 or (peak := self._peaks[sample])[0] != peak[0]:  # only NaN is not itself
            return None
        return Outlook(
            origin=self._series.start + sample * self._series.step,
            step=self._series.step,
            forecaster=self._forecaster,
            quantile=self._promised[sample],
            peak=tuple(peak),
            fitted_at=0.0,
            highest=self._highest[sample],
            trusted=self._gate is None or self._gate[sample].standing is not Standing.DEMOTED,
        )


def foresail(
    demand: Demand, series: TimeSeries, peaks: Peaks, policy: DecisionPolicy, events: Sequence[Event] = ()
) -> Served:
    """What the server would have served: its own decision, call by call.

    Between two samples it is asked again only when the passing of time alone may change what it serves.
    """
    values: list[float] = []
    active: list[bool] = []
    reasons: list[str] = []
    sample, until = -2, -math.inf
    newest = demand.sample.tolist()
    gate, agenda = peaks.gate(series, policy, events), Agenda(events)
    outlooks, outlook, past = Outlooks(peaks, series, gate), None, series.first(0)
    announced: tuple[Occurrence, ...] = ()
    answer = (math.nan, False, "unknown")
    for tick, (now, observed) in enumerate(zip(demand.times().tolist(), demand.observed.tolist(), strict=True)):
        if newest[tick] != sample:
            sample, until = newest[tick], -math.inf
            outlook = outlooks.after(sample)
            past = series.first(max(0, sample + 1)) if events else past
        if now > until:
            if events:
                announced = agenda.ahead(past, now=now, until=now + policy.window)
            answer = _answer(policy, outlook, announced, now=now, observed=observed)
            until = now if events else stands_until(outlook, policy, now=now)
        values.append(answer[0])
        active.append(answer[1])
        reasons.append(answer[2])
    log = None if gate is None else gate_log(series, gate, quantile=peaks.promised()[-1], since=demand.start)
    return Served(np.array(values), np.array(active, dtype=np.bool_), tuple(reasons), log)


def _answer(
    policy: DecisionPolicy, outlook: Outlook | None, announced: tuple[Occurrence, ...], *, now: int, observed: float
) -> tuple[float, bool, str]:
    """Value, activity and reason of one call."""
    snapshot = Snapshot(
        trigger="",
        series="",
        made_at=now,
        observed=None if math.isnan(observed) else observed,
        observed_at=now,
        outlook=outlook,
        note="no forecast",
        events=announced,
    )
    try:
        decision = decide(snapshot, policy, now=now)
    except (ValueUnknown, ValueUnservable):
        return math.nan, False, "unknown"
    demoted = outlook is not None and not outlook.trusted and decision.source is Source.OBSERVED
    return decision.value, decision.active, "demoted" if demoted else decision.source.value
