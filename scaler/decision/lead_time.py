"""From a pod's start-up time to the window that a decision must look over."""

from __future__ import annotations

import math

__all__ = ["ASKING_DELAY", "horizon", "window"]

ASKING_DELAY = 45.0
"""Seconds between a load and the asking for its pods: a scrape (up to 30 s) and an HPA sync (up to 15 s). A cluster
with other intervals says so in the setting `asking_delay`."""


def window(lead_time: float, asking_delay: float = ASKING_DELAY) -> float:
    """Seconds ahead that a decision covers: pods asked for now must carry what comes until this has passed."""
    return lead_time + asking_delay


def horizon(*, window: float, step: int, forecast_max_age: float) -> int:
    """Steps to forecast so that the window is covered until the forecast is too old to be served."""
    return max(1, math.ceil((window + forecast_max_age) / step))
