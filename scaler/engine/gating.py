"""The gate in the engine: told of every new sample, and kept in the store by the hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from scaler.decision.gate import GateRule, GateState, Recent, issue, judge, update
from scaler.events.agenda import masked

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.decision import DecisionPolicy
    from scaler.decision.gate import Issued
    from scaler.engine.persistence import Persistence
    from scaler.engine.state import SeriesState, TriggerState

__all__ = ["Gating", "is_gate_record"]

_PREFIX = "gate:"  # of a record's name in the store; no namespace has a colon
_MOST_AT_HAND = 20_000  # records of triggers that are not in use, 3 kB each


def is_gate_record(name: str) -> bool:
    """Whether a record of the store's snapshots is a gate's."""
    return name.startswith(_PREFIX)


class Gating:
    """Judges the forecasts of all triggers of a series.

    What a gate remembers is written when its verdict or the hour changes: a restart loses an hour of evidence at
    most. It is not made up from the past by predicting it again: the model has been fitted to that past.
    """

    def __init__(self, *, persistence: Persistence, policy_of: Callable[[TriggerState], DecisionPolicy]) -> None:
        """Args:
        persistence: Where states are kept.
        policy_of: By what a trigger's decisions are made.
        """
        self._persistence = persistence
        self._policy_of = policy_of
        self._stored: dict[str, bytes] = {}

    def remember(self, name: str, data: bytes) -> None:
        """A record of the store, for the trigger that may still be called."""
        self._stored[name] = data

    def recall(self, trigger: TriggerState) -> None:
        """Takes up what the store has kept of the trigger."""
        data = self._stored.pop(_PREFIX + trigger.config.key.id, None)
        if data is None:
            return
        try:
            trigger.gate = msgspec.msgpack.decode(data, type=GateState)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # written by another version: the evidence is gathered anew
        trigger.judgement = judge(trigger.gate, _rule(trigger))

    def step(self, series: SeriesState) -> None:
        """There are new samples, and forecasts from them."""
        for trigger in series.triggers.values():
            before, rule = trigger.gate, _rule(trigger)
            issued = self._issued(series, trigger)
            trigger.gate = update(before, rule, _recent(series, trigger, issued), issued)
            trigger.judgement = judge(trigger.gate, rule)
            if _worth_keeping(before, trigger.gate):
                self._persistence.add_snapshot(_PREFIX + trigger.config.key.id, msgspec.msgpack.encode(trigger.gate))

    @staticmethod
    def forget_future(series: SeriesState) -> None:
        """Lets go of forecasts from samples that are no more: a clock set ahead had asked for them."""
        for trigger in series.triggers.values():
            known = tuple(one for one in trigger.gate.open if one.origin <= series.history.end)
            trigger.gate = msgspec.structs.replace(trigger.gate, open=known)

    def keep(self, trigger: TriggerState) -> None:
        """Writes what the gate remembers, at the engine's end or the trigger's; until then it is at hand."""
        if trigger.gate == GateState():
            return
        name, data = _PREFIX + trigger.config.key.id, msgspec.msgpack.encode(trigger.gate)
        self._persistence.add_snapshot(name, data)
        self._stored[name] = data
        while len(self._stored) > _MOST_AT_HAND:
            del self._stored[next(iter(self._stored))]

    def _issued(self, series: SeriesState, trigger: TriggerState) -> Issued | None:
        model = series.models.get(trigger.model_key)
        forecast = None if model is None else model.forecast
        if forecast is None or forecast.origin != series.history.end:
            return None
        return issue(
            self._policy_of(trigger),
            origin=forecast.origin,
            step=forecast.step,
            peak=trigger.peak(forecast).tolist(),
            last=float(series.history.last(1).values[0]),
            highest=series.history.highest(trigger.window + 1),
        )


def _rule(trigger: TriggerState) -> GateRule:
    return GateRule(quantile=trigger.quantile)


def _recent(series: SeriesState, trigger: TriggerState, issued: Issued | None) -> Recent:
    """The samples since the oldest forecast that is still open; announced events are no fault of a forecast's."""
    still_open = (*trigger.gate.open[:1], issued)
    since = min((one.origin for one in still_open if one is not None), default=series.history.end)
    past = masked(series.history.last((series.history.end - since) // series.step + 1), [trigger.agenda])
    return Recent(past.end, past.step, past.values.tolist())


def _worth_keeping(before: GateState, after: GateState) -> bool:
    if before.standing is not after.standing:
        return True
    return bool(after.hours) and (not before.hours or before.hours[-1].start != after.hours[-1].start)
