"""From a pod's start-up time to the window that a decision must look over."""

from __future__ import annotations

import math

__all__ = ["ASKING_DELAY", "horizon", "window"]

ASKING_DELAY = 45.0
"""Seconds between a load and the asking for its pods: a scrape (up to 30 s) and an HPA sync (up to 15 s)."""


def window(lead_time: float) -> float:
    """Seconds ahead that a decision covers: pods asked for now must carry what comes until this has passed."""
    return lead_time + ASKING_DELAY


def horizon(*, lead_time: float, step: int, forecast_max_age: float) -> int:
    """Steps to forecast so that the window is covered until the forecast is too old to be served."""
    return max(1, math.ceil((window(lead_time) + forecast_max_age) / step))
