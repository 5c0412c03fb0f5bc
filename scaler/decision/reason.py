"""A decision in one sentence, for people who ask why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.decision.decision import Source
from scaler.words import duration, number

if TYPE_CHECKING:
    from scaler.decision.decision import Decision, DecisionPolicy
    from scaler.decision.snapshot import Snapshot

__all__ = ["reason"]


def reason(decision: Decision, policy: DecisionPolicy, snapshot: Snapshot) -> str:
    """Why this value is served, with the figures that decided it."""
    floor = f"{number(policy.headroom)} x observed {number(decision.observed)}"
    if decision.source is Source.OBSERVE_MODE:
        return (
            f"observe mode: serving the observed {number(decision.observed)}; "
            f"active mode would serve {number(decision.would_serve)}: {_cause(decision, policy, snapshot, floor)}"
        )
    return f"serving {number(decision.value)}: {_cause(decision, policy, snapshot, floor)}{_age(decision)}"


def _cause(decision: Decision, policy: DecisionPolicy, snapshot: Snapshot, floor: str) -> str:
    if not decision.usable or decision.forecast is None or decision.cap is None or snapshot.outlook is None:
        return f"{floor}, because {decision.hindrance}"
    peak = (
        f"the {number(snapshot.outlook.quantile)}-quantile of the peak within {duration(policy.window)} "
        f"({snapshot.outlook.forecaster}) is {number(decision.forecast)}"
    )
    if decision.would_serve <= decision.floor:
        capped = f", cut to {number(decision.cap)}" if decision.cap < decision.forecast else ""
        return f"{floor}, because {peak}{capped}, not more than that"
    if decision.cap < decision.forecast:
        return f"{peak}, cut to {number(decision.cap)}, the most that the caps allow; the floor is {floor}"
    when = f", reached in {duration(decision.peak_in)} at the latest" if decision.peak_in else ""
    return f"{peak}{when}; the floor is {floor}"


def _age(decision: Decision) -> str:
    return f" (observed {duration(decision.observed_age)} ago)" if decision.observed_age >= 60 else ""
