"""What a trigger and the server's settings together want of a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.decision import DecisionPolicy

if TYPE_CHECKING:
    from scaler.settings import Settings
    from scaler.trigger import TriggerConfig

__all__ = ["policy_of"]


def policy_of(trigger: TriggerConfig, settings: Settings) -> DecisionPolicy:
    """The policy by which the edge decides and the engine judges forecasts."""
    return DecisionPolicy(
        threshold=trigger.threshold,
        activation_threshold=trigger.activation_threshold,
        lead_time=trigger.lead_time,
        asking_delay=settings.asking_delay,
        headroom=trigger.headroom,
        max_factor=trigger.max_factor,
        max_rise=trigger.max_rise,
        observe_only=trigger.mode == "observe",
        observed_max_age=settings.observed_max_age,
        forecast_max_age=settings.forecast_max_age,
    )
