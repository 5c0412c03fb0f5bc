"""A change of what is served, as the decision log keeps it: small, and enough to give its reason again."""

from __future__ import annotations

import msgspec

from scaler.decision.decision import Decision, DecisionPolicy, Source
from scaler.decision.events import Occurrence
from scaler.decision.reason import reason
from scaler.decision.snapshot import Outlook, Snapshot

__all__ = ["Change", "differs", "same_words"]

_SMALL = 0.05
"""Part of a value within which another one is no change: the HPA ignores twice as much."""

_NEXT_TO_NOTHING = 0.01
"""Part of a pod's load within which another one is no change, however small the load."""

_FIGURES = str.maketrans("", "", "0123456789.dhms")
"""What grows in a text from call to call, such as an age, is no change."""


class Change(msgspec.Struct, frozen=True, array_like=True):
    """A decision that differs from the one before, or an error that does.

    Fields are those of Decision, but for these:

    Attributes:
        at: Epoch seconds.
        value: None: no value, an error was answered.
        source: Which part set the value; "unknown" with an error.
        hindrance: With an error, its text.
        headroom: In force at that time.
        window: Seconds ahead that the decision covered.
        quantile: Of the forecast; 0.0 without one.
        forecaster: That made it; "" without one.
    """

    at: float
    value: float | None
    active: bool | None
    source: str
    hindrance: str
    observed: float = 0.0
    observed_age: float = 0.0
    floor: float = 0.0
    would_serve: float = 0.0
    forecast: float | None = None
    forecast_age: float = 0.0
    peak_in: float = 0.0
    cap: float | None = None
    usable: bool = False
    asked: float = 0.0
    event: Occurrence | None = None
    headroom: float = 1.0
    window: float = 0.0
    quantile: float = 0.0
    forecaster: str = ""

    @classmethod
    def of(cls, decision: Decision, policy: DecisionPolicy, outlook: Outlook | None, *, at: float) -> Change:
        """What is kept of a decision."""
        return cls(
            at=at,
            value=decision.value,
            active=decision.active,
            source=decision.source.value,
            hindrance=decision.hindrance,
            observed=decision.observed,
            observed_age=decision.observed_age,
            floor=decision.floor,
            would_serve=decision.would_serve,
            forecast=decision.forecast,
            forecast_age=decision.forecast_age,
            peak_in=decision.peak_in,
            cap=decision.cap,
            usable=decision.usable,
            asked=decision.asked,
            event=decision.event,
            headroom=policy.headroom,
            window=policy.window,
            quantile=outlook.quantile if outlook else 0.0,
            forecaster=outlook.forecaster if outlook else "",
        )

    @classmethod
    def failed(cls, text: str, *, at: float) -> Change:
        """What is kept of an error."""
        return cls(at=at, value=None, active=None, source="unknown", hindrance=text)

    @property
    def reason(self) -> str:
        """Why, in the sentence that was given at that time."""
        if self.value is None or self.active is None:
            return self.hindrance
        decision = Decision(
            value=self.value,
            active=self.active,
            source=Source(self.source),
            observed=self.observed,
            observed_age=self.observed_age,
            floor=self.floor,
            would_serve=self.would_serve,
            forecast=self.forecast,
            forecast_age=self.forecast_age,
            peak_in=self.peak_in,
            cap=self.cap,
            usable=self.usable,
            hindrance=self.hindrance,
            asked=self.asked,
            event=self.event,
        )
        # what the sentence does not speak of may be anything
        policy = DecisionPolicy(threshold=1.0, lead_time=self.window, asking_delay=0.0, headroom=self.headroom)
        outlook = Outlook(
            origin=0,
            step=1,
            forecaster=self.forecaster,
            quantile=self.quantile,
            peak=(),
            fitted_at=0.0,
            highest=0.0,
        )
        return reason(decision, policy, Snapshot(trigger="", series="", made_at=self.at, outlook=outlook))


def differs(decision: Decision, before: Decision, *, threshold: float) -> bool:
    """Whether the decision is worth a line in the log after the one before.

    Args:
        decision: The newer one.
        before: The last one in the log.
        threshold: Load that one pod carries.
    """
    return (
        decision.source is not before.source
        or decision.active is not before.active
        or (
            decision.event is not before.event
            and (decision.event is None or before.event is None or decision.event.name != before.event.name)
        )
        or _apart(decision.value, before.value, threshold)
        or _apart(decision.would_serve, before.would_serve, threshold)
        or not same_words(decision.hindrance, before.hindrance)
    )


def _apart(value: float, before: float, threshold: float) -> bool:
    return abs(value - before) > max(_SMALL * before, _NEXT_TO_NOTHING * threshold)


def same_words(text: str, before: str) -> bool:
    """Whether two texts say the same but for their figures."""
    return text == before or text.translate(_FIGURES) == before.translate(_FIGURES)
