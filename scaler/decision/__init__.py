"""Deciding: pure functions from a snapshot to the value served, and why."""

from scaler.decision.decide import HIGHEST_SERVABLE, decide, stands_until
from scaler.decision.decision import Decision, DecisionPolicy, Source
from scaler.decision.events import Occurrence
from scaler.decision.lead_time import ASKING_DELAY, horizon, window
from scaler.decision.reason import reason
from scaler.decision.snapshot import Outlook, Snapshot

__all__ = [
    "ASKING_DELAY",
    "HIGHEST_SERVABLE",
    "Decision",
    "DecisionPolicy",
    "Occurrence",
    "Outlook",
    "Snapshot",
    "Source",
    "decide",
    "horizon",
    "reason",
    "stands_until",
    "window",
]
