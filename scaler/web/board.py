"""What the HTTP side asks of the edge, and what it shows: plain data, the shape of the JSON.

None is what is not known, in the JSON null. Times are epoch seconds, ages and spans seconds. Nothing here is secret:
no credentials, no metadata value but the query.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

__all__ = [
    "EventPart",
    "Explanation",
    "ForecastPart",
    "GatePart",
    "ObservedPart",
    "ReadyState",
    "TriggerBoard",
    "TriggerView",
]


class ReadyState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this server can answer KEDA; how the world around is doing has no part in it.

    Attributes:
        ready: It can.
        reason: Why not, in words; "" if it can.
    """

    ready: bool
    reason: str = ""


class TriggerView(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger in a line.

    Attributes:
        namespace: Of the ScaledObject.
        name: Of the ScaledObject.
        trigger: Digest of the metadata: tells two triggers of one ScaledObject apart.
        metric: The name that the HPA knows.
        mode: `active` or `observe`.
        served: What GetMetrics answers; None: an error.
        active: What IsActive answers; None: an error.
        reason: Why, or the error, in a sentence.
        observed: The newest load known.
        observed_age: Since the source gave it.
        bands: Quantile level -> forecast peak over the lead time.
        forecast_age: Since the last sample that the forecast has seen.
        trusted: The gate's verdict; None without a forecast.
        gain: As in `GatePart`.
        coverage: As in `GatePart`.
        quantile: As in `ForecastPart`.
        level: As in `GatePart`.
        lead_time: That a pod asked for now takes to serve.
    """

    namespace: str
    name: str
    trigger: str
    metric: str
    mode: str
    served: float | None
    active: bool | None
    reason: str
    observed: float | None
    observed_age: float | None
    bands: dict[str, float]
    forecast_age: float | None
    trusted: bool | None
    gain: float | None = None
    coverage: float | None = None
    quantile: float | None = None
    level: float | None = None
    lead_time: float | None = None


class ObservedPart(msgspec.Struct, frozen=True, kw_only=True):
    """The observed load, how old it is, and the floor it makes: headroom x value."""

    value: float
    age: float
    headroom: float
    floor: float


class ForecastPart(msgspec.Struct, frozen=True, kw_only=True):
    """The forecast of the peak.

    Attributes:
        quantile: Its level.
        peak: The quantile of the peak within the window; None while the decision is an error.
        peak_in: Until it is reached, at the latest; None as above.
        cap: The most that it may ask for; None as above.
        highest: The highest load of the history window, which the cap is made of.
        age: Since the last sample that the forecast has seen.
        model: Name of the forecaster.
        explanation: What it says of itself, such as why it was chosen; "" if nothing.
        model_age: Since its parameters were estimated.
        bands: Quantile level -> peak over the lead time when the forecast was made.
        used: It took part in the decision.
        choice: Why that quantile, in words, where it was chosen for a shortfall allowed.
    """

    quantile: float
    peak: float | None
    peak_in: float | None
    cap: float | None
    highest: float
    age: float
    model: str
    model_age: float
    bands: dict[str, float]
    used: bool
    explanation: str = ""
    choice: str = ""


class GatePart(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of the forecast (docs/gate.md).

    Attributes:
        trusted: It takes part.
        verdict: Why, in words.
        gain: Cost of errors that it has avoided lately, in parts of the larger cost; negative: it caused that part.
            None while too few forecasts have resolved.
        coverage: Part of the recent peaks at or below their forecast; None likewise.
        level: The quantile that forecasts are read at so that the promised part of the peaks stays below.
    """

    trusted: bool
    verdict: str
    gain: float | None = None
    coverage: float | None = None
    level: float | None = None


class EventPart(msgspec.Struct, frozen=True, kw_only=True):
    """The announced event that asks for most within the window.

    Attributes:
        name: As its user calls it.
        factor: 1.0: it does not multiply.
        floor: 0.0: it has none.
        until: Its end, in words.
        asks: What it asks for.
        used: It set what is served, or what active mode would serve.
    """

    name: str
    factor: float
    floor: float
    until: str
    asks: float
    used: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that led to a trigger's answer.

    Attributes:
        namespace: Of the ScaledObject.
        name: Of the ScaledObject.
        trigger: Digest of the metadata.
        metric: The name that the HPA knows.
        source: A source's name, or an address without credentials.
        query: As in the metadata.
        mode: `active` or `observe`.
        threshold: Load that one pod carries.
        activation_threshold: The workload is active above it.
        lead_time: That a pod asked for now takes to serve.
        lead_time_origin: Where that figure comes from, in words; "" before the engine has said.
        window: That the decision looks ahead: the lead time and the time until KEDA and the HPA ask.
        served: What GetMetrics answers; None: an error.
        would_serve: What it would answer in active mode.
        active: What IsActive answers; None: an error.
        reason: Why, or the error, in a sentence.
        observed: None before the first value.
        forecast: None where there is none.
        gate: None without a forecast.
        event: None where no announced event takes place within the window.
        note: Why there is no forecast, or what was stepped down to; "" if all is as it should be.
        warning: What the user should know about the signal; "" if nothing.
        source_error: What went wrong when the source was last asked; "" if nothing.
    """

    namespace: str
    name: str
    trigger: str
    metric: str
    source: str
    query: str
    mode: str
    threshold: float
    activation_threshold: float
    lead_time: float
    window: float
    served: float | None
    would_serve: float | None
    active: bool | None
    reason: str
    observed: ObservedPart | None
    forecast: ForecastPart | None
    gate: GatePart | None
    event: EventPart | None
    note: str
    warning: str
    source_error: str
    lead_time_origin: str = ""


class TriggerBoard(Protocol):
    """The triggers in use. `triggers` and `explain` are called from a thread, beside the event loop."""

    def triggers(self) -> list[TriggerView]:
        """All of them, in the order of namespace, name, trigger."""
        ...

    def explain(self, namespace: str, name: str) -> list[Explanation]:
        """The triggers of one ScaledObject; empty if none has called."""
        ...

    def ready(self) -> ReadyState:
        """Whether this server can answer."""
        ...
