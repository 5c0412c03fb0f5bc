"""What is served, and every part that led to it."""

from __future__ import annotations

from enum import Enum

import msgspec

from scaler.decision.events import Occurrence
from scaler.decision.lead_time import ASKING_DELAY, window

__all__ = ["Decision", "DecisionPolicy", "Source"]


class DecisionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a user wants of one trigger's decisions.

    Attributes:
        threshold: Load that one pod carries (the HPA's target).
        activation_threshold: The workload is active while its load is above this.
        lead_time: Seconds that a pod asked for now takes to serve.
        asking_delay: Seconds between a load and the asking for its pods.
        timing_margin: Seconds by which the load may come sooner than it did before.
        headroom: Factor on the observed load that is always served.
        max_factor: The forecast is cut at this multiple of the highest load of the history window.
        max_rise: The forecast may exceed the observed load by at most this part of the highest load per minute of
            lead time; None: no such limit.
        observe_only: Serve the observed load, only record what would have been served.
        observed_max_age: Seconds after which an observed value is unknown.
        forecast_max_age: Seconds after which a forecast is not served any more.
    """

    threshold: float
    activation_threshold: float = 0.0
    lead_time: float = 180.0
    asking_delay: float = ASKING_DELAY
    timing_margin: float = 0.0
    headroom: float = 1.07
    max_factor: float = 2.0
    max_rise: float | None = None
    observe_only: bool = False
    observed_max_age: float = 300.0
    forecast_max_age: float = 240.0

    @property
    def window(self) -> float:
        """Seconds ahead that a decision covers."""
        return window(self.lead_time, self.asking_delay, self.timing_margin)


class Source(Enum):
    """Which part of a decision set the value."""

    OBSERVED = "observed"  # headroom x observed, the floor
    FORECAST = "forecast"  # the forecast quantile of the peak
    CAP = "cap"  # the forecast, cut by a cap that is still above the floor
    EVENT = "event"  # what an announced event asks for
    OBSERVE_MODE = "observe-mode"  # the observed value, whatever the forecast says


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The answer to one call, with its parts. `scaler.decision.reason.reason` puts it in a sentence.

    Attributes:
        value: Served; finite, at least 0.
        active: Whether the workload should run at all.
        source: Which part set the value.
        observed: The newest known load.
        observed_age: Seconds since the source gave it.
        floor: headroom x observed.
        would_serve: The value that active mode serves; equals `value` but in observe mode.
        forecast: The quantile of the peak within the window before caps; None where there is no outlook.
        forecast_age: Seconds since the last sample that the forecast used; 0 where there is none.
        peak_in: Seconds from now until the forecast reaches its peak, at the latest; 0 where there is none.
        cap: The lowest cap in force; None where there is no outlook.
        usable: The forecast took part in the decision.
        hindrance: Why it did not, in words; "" if it did.
        asked: What announced events ask for; 0 where none takes place within the window.
        event: The event that asks for it; None where there is none.
    """

    value: float
    active: bool
    source: Source
    observed: float
    observed_age: float
    floor: float
    would_serve: float
    forecast: float | None = None
    forecast_age: float = 0.0
    peak_in: float = 0.0
    cap: float | None = None
    usable: bool = False
    hindrance: str = ""
    asked: float = 0.0
    event: Occurrence | None = None
