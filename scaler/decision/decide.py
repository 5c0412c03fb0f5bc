"""From a snapshot to the value served: a few comparisons, nothing that computes or waits.

::

    served = max(headroom x observed, cap(P_q(window)))   while the forecast can be trusted
           = headroom x observed                          otherwise
           = ValueUnknown                                 if the observed load is not known

A forecast adds to plain KEDA and never takes away from it. Announced events add to both: their factor multiplies the
larger of observed load and capped forecast, and what they ask for is a user's own word, which no cap cuts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scaler.decision.decision import Decision, DecisionPolicy, Source
from scaler.decision.events import Asked, ask
from scaler.errors import ValueUnknown, ValueUnservable
from scaler.words import duration

if TYPE_CHECKING:
    from scaler.decision.snapshot import Outlook, Snapshot

__all__ = ["HIGHEST_SERVABLE", "decide", "highest_forecast", "stands_until"]

HIGHEST_SERVABLE = 9.0e15
"""The HPA counts in thousandths in an int64: 9.22e15 is where it overflows."""

_WAKING_PART = 0.1
"""A forecast wakes a sleeping workload when it exceeds the activation threshold by this part of a pod's load:
the upper quantile of next to nothing is never quite zero, and would keep an idle workload awake for ever."""


_NOTHING = Asked()


def decide(snapshot: Snapshot, policy: DecisionPolicy, *, now: float) -> Decision:
    """The decision for one call.

    Args:
        snapshot: What is known of the trigger.
        policy: What its user wants.
        now: Epoch seconds.

    Raises:
        ValueUnknown: No load was observed yet, or the last one is too old.
        ValueUnservable: The load is negative, not finite or too large to be told to the HPA.
    """
    observed, age = _observed(snapshot, policy, now)
    outlook = snapshot.outlook
    if outlook is None:
        hindrance = snapshot.note or "there is no forecast yet"
        return _decision(snapshot, policy, now, observed=observed, age=age, hindrance=hindrance)
    forecast, peak_in = _peak(outlook, policy, now)
    forecast_age = now - outlook.origin
    cap = highest_forecast(policy, highest=outlook.highest, observed=observed)
    return _decision(
        snapshot,
        policy,
        now,
        observed=observed,
        age=age,
        forecast=forecast,
        forecast_age=forecast_age,
        peak_in=peak_in,
        cap=cap,
        hindrance=_hindrance(outlook, policy, forecast, forecast_age),
    )


def _observed(snapshot: Snapshot, policy: DecisionPolicy, now: float) -> tuple[float, float]:
    """The observed load and its age, or the error that says why there is none to serve."""
    observed = snapshot.observed
    cause = f": {snapshot.error}" if snapshot.error else ""
    if observed is None:
        raise ValueUnknown(f"the load is not known yet{cause or ': the first answer of the source is awaited'}")
    age = now - snapshot.observed_at
    if age < -policy.observed_max_age:
        raise ValueUnknown(
            f"the load is not known: the last value is from {duration(-age)} ahead of this machine's clock, "
            f"was the clock set back?{cause}"
        )
    age = max(0.0, age)
    if age > policy.observed_max_age:
        raise ValueUnknown(
            f"the load is not known: the last value is {duration(age)} old, "
            f"older than the {duration(policy.observed_max_age)} that a value is good for{cause}"
        )
    if not math.isfinite(observed) or observed < 0.0:
        raise ValueUnservable(f"the query gives {observed}: a load is a finite number of at least 0, mend the query")
    if observed * policy.headroom > HIGHEST_SERVABLE:
        raise ValueUnservable(
            f"the query gives {observed:g}: the HPA cannot count beyond {HIGHEST_SERVABLE:g}, "
            "divide the query and the threshold by the same number"
        )
    return observed, age


def stands_until(outlook: Outlook | None, policy: DecisionPolicy, *, now: float) -> float:
    """Until when a decision serves the same, as long as nothing new is known: `now` at least, in epoch seconds.

    After that the window may reach a step further, or the forecast be too old. The age of the observed load and
    announced events are not looked at.
    """
    if outlook is None:
        return math.inf
    until, steps = math.inf, _steps(outlook, policy, now)
    if steps < len(outlook.peak):
        until = outlook.origin + steps * outlook.step - policy.window
    for limit in (outlook.origin - outlook.step, outlook.origin + policy.forecast_max_age):  # too early, too old
        if now <= limit:
            until = min(until, limit)
    return until


def _steps(outlook: Outlook, policy: DecisionPolicy, now: float) -> int:
    """Of the forecast, those that the window reaches into."""
    steps = math.ceil((now + policy.window - outlook.origin) / outlook.step)
    return min(max(1, steps), len(outlook.peak))


def _peak(outlook: Outlook, policy: DecisionPolicy, now: float) -> tuple[float, float]:
    """The forecast peak within the window, and in how many seconds it is reached at the latest."""
    peak = outlook.peak[_steps(outlook, policy, now) - 1]
    reached = outlook.peak.index(peak) + 1
    return peak, max(0.0, outlook.origin + reached * outlook.step - now)


def highest_forecast(policy: DecisionPolicy, *, highest: float, observed: float) -> float:
    """The cap: the most that a forecast may ask for.

    Args:
        policy: What its user wants.
        highest: The highest load of the history window.
        observed: The load now.
    """
    highest = max(highest, observed)
    cap = policy.max_factor * highest
    if policy.max_rise is not None:
        cap = min(cap, observed + policy.max_rise * highest * policy.window / 60.0)
    return min(cap, HIGHEST_SERVABLE)


def _hindrance(outlook: Outlook, policy: DecisionPolicy, forecast: float, age: float) -> str:
    """Why the forecast does not take part; "" if it does."""
    if not outlook.trusted:
        return outlook.verdict or "the gate does not trust the forecast"
    if age > policy.forecast_max_age:
        return (
            f"the forecast is {duration(age)} old, older than the {duration(policy.forecast_max_age)} "
            "that one is good for"
        )
    if age < -outlook.step:
        return f"the forecast is from {duration(-age)} ahead of this machine's clock: was the clock set back?"
    if not math.isfinite(forecast) or forecast < 0.0:
        return f"the forecast is {forecast}, no load"
    return ""


def _decision(
    snapshot: Snapshot,
    policy: DecisionPolicy,
    now: float,
    *,
    observed: float,
    age: float,
    hindrance: str,
    forecast: float | None = None,
    forecast_age: float = 0.0,
    peak_in: float = 0.0,
    cap: float | None = None,
) -> Decision:
    floor = policy.headroom * observed
    usable = forecast is not None and cap is not None and not hindrance
    ahead = min(forecast, cap) if usable and forecast is not None and cap is not None else 0.0
    asked = _NOTHING
    if snapshot.events:
        asked = ask(snapshot.events, now=now, window=policy.window, load=max(observed, ahead))
    raised = min(asked.value, HIGHEST_SERVABLE)
    would_serve = max(floor, ahead, raised)
    if policy.observe_only:
        value, source = observed, Source.OBSERVE_MODE
    elif raised > max(floor, ahead):
        value, source = raised, Source.EVENT
    elif ahead <= floor:
        value, source = floor, Source.OBSERVED
    else:
        value, source = ahead, Source.CAP if forecast is not None and ahead < forecast else Source.FORECAST
    wakes = (
        max(ahead, raised) > policy.activation_threshold + _WAKING_PART * policy.threshold
        or asked.floor > policy.activation_threshold
    )
    return Decision(
        value=value,
        active=observed > policy.activation_threshold or (wakes and not policy.observe_only),
        source=source,
        observed=observed,
        observed_age=age,
        floor=floor,
        would_serve=would_serve,
        forecast=forecast,
        forecast_age=forecast_age,
        peak_in=peak_in,
        cap=cap,
        usable=usable,
        hindrance=hindrance,
        asked=raised,
        event=asked.event,
    )
