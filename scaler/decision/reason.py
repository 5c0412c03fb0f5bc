"""A decision in one sentence, for people who ask why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.decision.decision import Source
from scaler.words import duration, number

if TYPE_CHECKING:
    from scaler.decision.decision import Decision, DecisionPolicy
    from scaler.decision.events import Occurrence
    from scaler.decision.snapshot import Outlook, Snapshot

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
    if decision.event is not None and decision.asked > max(decision.floor, _ahead(decision)):
        return f"{_event(decision, decision.event, policy, snapshot)}; the floor is {floor}"
    if not decision.usable or decision.forecast is None or decision.cap is None or snapshot.outlook is None:
        return f"{floor}, because {decision.hindrance}"
    peak = _peak(decision.forecast, policy, snapshot.outlook)
    if decision.would_serve <= decision.floor:
        capped = f", cut to {number(decision.cap)}" if decision.cap < decision.forecast else ""
        return f"{floor}, because {peak}{capped}, not more than that"
    if decision.cap < decision.forecast:
        return f"{peak}, cut to {number(decision.cap)}, the most that the caps allow; the floor is {floor}"
    when = f", reached in {duration(decision.peak_in)} at the latest" if decision.peak_in else ""
    return f"{peak}{when}; the floor is {floor}"


def _peak(forecast: float, policy: DecisionPolicy, outlook: Outlook) -> str:
    return (
        f"the {number(outlook.quantile)}-quantile of the peak within {duration(policy.window)} "
        f"({outlook.forecaster}) is {number(forecast)}"
    )


def _ahead(decision: Decision) -> float:
    """What the forecast asks for, after caps; 0 if it takes no part."""
    if decision.forecast is None or decision.cap is None or not decision.usable:
        return 0.0
    return min(decision.forecast, decision.cap)


def _event(decision: Decision, event: Occurrence, policy: DecisionPolicy, snapshot: Snapshot) -> str:
    """What the event does, and to which load."""
    by = f"by event '{event.name}', until {event.until}"
    if decision.asked <= event.floor:
        return f"at least {number(event.floor)} {by}"
    if event.base is not None and decision.asked <= event.factor * event.base:
        return f"held at x{number(event.factor)} of the {number(event.base)} that the load would be without it {by}"
    raised = f"raised x{number(event.factor)} {by}"
    if decision.forecast is None or decision.cap is None or snapshot.outlook is None or not decision.usable:
        return f"observed {number(decision.observed)}, {raised}; no forecast takes part, because {decision.hindrance}"
    if _ahead(decision) <= decision.observed:
        return f"observed {number(decision.observed)}, {raised}"
    capped = f", cut to {number(decision.cap)}" if decision.cap < decision.forecast else ""
    return f"{_peak(decision.forecast, policy, snapshot.outlook)}{capped}, {raised}"


def _age(decision: Decision) -> str:
    return f" (observed {duration(decision.observed_age)} ago)" if decision.observed_age >= 60 else ""
