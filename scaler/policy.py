"""What a trigger and the server's settings together want of a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.decision import DecisionPolicy
from scaler.decision.lead_time import DEFAULT_LEAD_TIME

if TYPE_CHECKING:
    from scaler.settings import Settings
    from scaler.trigger import TriggerConfig

__all__ = ["policy_of"]


def policy_of(trigger: TriggerConfig, settings: Settings, *, lead_time: float | None = None) -> DecisionPolicy:
    """The policy by which the edge decides and the engine judges forecasts.

    Args:
        trigger: What its user wants.
        settings: The server's.
        lead_time: The one in force, in seconds; None: as the trigger says, the default where it is to be measured.
    """
    return DecisionPolicy(
        threshold=trigger.threshold,
        activation_threshold=trigger.activation_threshold,
        lead_time=lead_time or trigger.lead_time or DEFAULT_LEAD_TIME,
        asking_delay=settings.asking_delay,
        timing_margin=settings.timing_margin,
        headroom=trigger.headroom,
        max_factor=trigger.max_factor,
        max_rise=trigger.max_rise,
        observe_only=trigger.mode == "observe",
        observed_max_age=settings.observed_max_age,
        forecast_max_age=settings.forecast_max_age,
    )
