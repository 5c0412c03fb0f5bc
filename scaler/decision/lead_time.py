"""From a pod's start-up time to the window that a decision must look over."""

from __future__ import annotations

import math

import msgspec

from scaler.words import duration, plural

__all__ = [
    "ASKING_DELAY",
    "DEFAULT_LEAD_TIME",
    "LONGEST_MEASURED",
    "SHORTEST_MEASURED",
    "TIMING_MARGIN",
    "LeadTime",
    "given",
    "horizon",
    "is_measured",
    "measured",
    "not_measured",
    "window",
]

ASKING_DELAY = 45.0
"""Seconds between a load and the asking for its pods: a scrape (up to 30 s) and an HPA sync (up to 15 s). A cluster
with other intervals says so in the setting `asking_delay`."""

TIMING_MARGIN = 180.0
"""Seconds: what recurs does not recur to the minute, and what is seen well ahead is seen by several forecasts in
a row. It costs little: an HPA keeps what it was asked for longer than that anyway."""

DEFAULT_LEAD_TIME = 180.0
"""Seconds; what counts where none is given, or none could be measured."""

SHORTEST_MEASURED = 15.0
"""Seconds: a pod that is ready sooner still waits for its endpoints to be known and its caches to be warm."""

LONGEST_MEASURED = 1800.0
"""Seconds: pods that take longer wait for something that no forecast brings sooner."""


_MEASURED = "measured: "


class LeadTime(msgspec.Struct, frozen=True):
    """How long a pod asked for now takes to serve, and where that figure comes from.

    Attributes:
        seconds: The figure in force.
        origin: In words, for people.
    """

    seconds: float
    origin: str = ""


def given(seconds: float) -> LeadTime:
    """As the trigger's metadata says."""
    return LeadTime(seconds, "as leadTime says")


def measured(seconds: float, *, quantile: float, pods: int, target: str, window: float) -> LeadTime:
    """From start-up times that were seen, within bounds.

    Args:
        seconds: The quantile of the times from a pod's creation to its first being ready.
        quantile: Its level.
        pods: How many there were.
        target: Name of the workload.
        window: Seconds over which they were seen.
    """
    origin = (
        f"{_MEASURED}{100.0 * quantile:.3g} % of the {plural(pods, 'pod')} that {target} started within the last "
        f"{duration(window)} were ready after {duration(seconds)}"
    )
    bounded = min(max(seconds, SHORTEST_MEASURED), LONGEST_MEASURED)
    if bounded != seconds:
        origin += f"; taken as {duration(bounded)}, the {'least' if bounded > seconds else 'most'} that is believed"
    return LeadTime(bounded, origin)


def is_measured(origin: str) -> bool:
    """Whether the figure with this origin was measured, now or before."""
    return origin.startswith(_MEASURED)


def not_measured(reason: str, last: LeadTime | None = None) -> LeadTime:
    """The figure measured last, or the default, and why there is no new one."""
    if last is not None:
        return LeadTime(last.seconds, f"{last.origin.partition('; not measured anew')[0]}; not measured anew: {reason}")
    return LeadTime(DEFAULT_LEAD_TIME, f"{duration(DEFAULT_LEAD_TIME)} by default, not measured: {reason}")


def window(lead_time: float, asking_delay: float = ASKING_DELAY, margin: float = 0.0) -> float:
    """Seconds ahead that a decision covers: pods asked for now must carry what comes until this has passed."""
    return lead_time + asking_delay + margin


def horizon(*, window: float, step: int, forecast_max_age: float) -> int:
    """Steps to forecast so that the window is covered until the forecast is too old to be served."""
    return max(1, math.ceil((window + forecast_max_age) / step))
