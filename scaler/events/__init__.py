"""Events that users announce (launches, campaigns): how they are written, and when they take place."""

from scaler.events.event import Event, occurrences, shortest_gap
from scaler.events.text import EVENTS, MAX_EVENTS, checked

__all__ = ["EVENTS", "MAX_EVENTS", "Event", "checked", "occurrences", "shortest_gap"]
