"""What the engine knows of one trigger at one moment: all that a decision needs, and nothing that computes.

Plain floats, no arrays: the edge holds ten thousands of these and imports no numerics. They can form no cycle, so the
collector of cycles (`gc`) passes over them: it would hold up answers to look through them all.
"""

from __future__ import annotations

import msgspec

from scaler.decision.events import Occurrence

__all__ = ["Outlook", "Snapshot"]


class Outlook(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The forecast half of a snapshot.

    Attributes:
        origin: Time of the last sample that the forecast used, epoch seconds.
        step: Seconds between horizons.
        forecaster: Name of the method that made it.
        quantile: The level that `peak` is promised for,
        level: and the one that it was read at to keep that promise, corrected by what came of the forecasts before.
        choice: Why that quantile, in words, if it was chosen for a shortfall allowed; "" if it was given.
        peak: peak[h - 1] is the quantile of the maximum load over the first h steps after origin.
        bands: For people and metrics: quantile level -> peak over the lead time at the time of making.
        fitted_at: When the model's parameters were estimated, epoch seconds.
        highest: The highest load in the history window; the cap is a multiple of it.
        explanation: What the model says of itself, such as why it was chosen, in words.
        trusted: Whether the gate lets the forecast take part; if False, it is shown but not served.
        verdict: The gate's reason, in words.
        gain: Loss that the forecast has avoided lately, in parts of the larger loss (`scaler.decision.gate`);
            negative: it cost. None while too few have resolved.
        coverage: Part of the recent peaks at or below their forecast; None likewise.
    """

    origin: int
    step: int
    forecaster: str
    quantile: float
    peak: tuple[float, ...]
    bands: dict[str, float] = {}
    fitted_at: float
    highest: float
    explanation: str = ""
    trusted: bool = True
    verdict: str = ""
    gain: float | None = None
    coverage: float | None = None
    level: float | None = None
    choice: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one trigger.

    Attributes:
        trigger: The trigger's id.
        series: The id of the series behind it; triggers with the same query share one.
        made_at: Epoch seconds.
        observed: The newest value that the source gave, as plain KEDA would see it; None before the first.
        observed_at: When the source gave it, epoch seconds; 0.0 before the first.
        outlook: The forecast, or None while there is none.
        note: Why there is no outlook, or what was stepped down to, in words; "" if all is as it should be.
        error: The source's last error if the last attempt failed, in words; "" otherwise.
        warning: Something about the signal that the user should know; "" if nothing.
        lead_time: Seconds that a pod asked for now takes to serve, as far as the engine knows; None: it has not said.
        lead_time_origin: Where that figure comes from, in words.
        events: Announced events that take place now or soon, expanded far enough to outlive the snapshot.
    """

    trigger: str
    series: str
    made_at: float
    observed: float | None = None
    observed_at: float = 0.0
    outlook: Outlook | None = None
    note: str = ""
    error: str = ""
    warning: str = ""
    lead_time: float | None = None
    lead_time_origin: str = ""
    events: tuple[Occurrence, ...] = ()
