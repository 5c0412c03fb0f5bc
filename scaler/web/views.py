"""From what the edge knows of its triggers to what it shows of them; implements `scaler.web.board.TriggerBoard`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from scaler.decision import decide, reason
from scaler.errors import ForesailError
from scaler.telemetry.masking import mask, without_credentials
from scaler.web.board import EventPart, Explanation, ForecastPart, GatePart, ObservedPart, TriggerView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scaler.decision import Decision, DecisionPolicy, Outlook, Snapshot
    from scaler.trigger import TriggerConfig
    from scaler.web.board import ReadyState

__all__ = ["Board", "Known", "explanation", "view"]


class Known(Protocol):
    """What the edge knows of one trigger: `scaler.edge.entry.Entry`."""

    @property
    def config(self) -> TriggerConfig: ...  # noqa: D102  # what its user wants
    @property
    def policy(self) -> DecisionPolicy: ...  # noqa: D102  # the same, as decisions need it
    @property
    def snapshot(self) -> Snapshot | None: ...  # noqa: D102  # what the engine knows
    @property
    def refusal(self) -> ForesailError | None: ...  # noqa: D102  # why the engine does not take it

    def as_of(self, wall: float) -> float:
        """The moment to decide for, given the wall clock's, epoch seconds."""
        ...


class Board:
    """Shows what would be answered now."""

    def __init__(
        self, *, entries: Callable[[], Iterable[Known]], ready: Callable[[], ReadyState], clock: Callable[[], float]
    ) -> None:
        """Args:
        entries: The triggers in use; a dict's values will do, they are copied at once.
        ready: Whether this server can answer.
        clock: The clock that decisions are made by, epoch seconds.
        """
        self._entries = entries
        self._ready = ready
        self._clock = clock

    def triggers(self) -> list[TriggerView]:
        """All of them, in the order of namespace, name, trigger."""
        now = self._clock()
        return sorted((view(entry, now=entry.as_of(now)) for entry in list(self._entries())), key=_place)

    def explain(self, namespace: str, name: str) -> list[Explanation]:
        """The triggers of one ScaledObject; empty if none has called."""
        now = self._clock()
        of_object = [
            entry
            for entry in list(self._entries())
            if (entry.config.key.namespace, entry.config.key.name) == (namespace, name)
        ]
        return sorted((explanation(entry, now=entry.as_of(now)) for entry in of_object), key=_place)

    def ready(self) -> ReadyState:
        """Whether this server can answer."""
        return self._ready()


def view(entry: Known, *, now: float) -> TriggerView:
    """The trigger in a line."""
    decision, why = _decided(entry, now)
    key, snapshot = entry.config.key, entry.snapshot
    outlook = snapshot.outlook if snapshot else None
    return TriggerView(
        namespace=key.namespace,
        name=key.name,
        trigger=key.digest,
        metric=entry.config.metric_name,
        mode=entry.config.mode,
        served=decision.value if decision else None,
        active=decision.active if decision else None,
        reason=why,
        observed=snapshot.observed if snapshot else None,
        observed_age=_observed_age(snapshot, now),
        bands=outlook.bands if outlook else {},
        forecast_age=now - outlook.origin if outlook else None,
        trusted=outlook.trusted if outlook else None,
        gain=outlook.gain if outlook else None,
        coverage=outlook.coverage if outlook else None,
        quantile=outlook.quantile if outlook else None,
        level=outlook.level if outlook else None,
        lead_time=entry.policy.lead_time,
    )


def explanation(entry: Known, *, now: float) -> Explanation:
    """Everything that led to the trigger's answer."""
    decision, why = _decided(entry, now)
    config, snapshot = entry.config, entry.snapshot
    outlook = snapshot.outlook if snapshot else None
    return Explanation(
        namespace=config.key.namespace,
        name=config.key.name,
        trigger=config.key.digest,
        metric=config.metric_name,
        source=config.source or without_credentials(config.server_address),
        query=mask(config.query),
        mode=config.mode,
        threshold=config.threshold,
        activation_threshold=config.activation_threshold,
        lead_time=entry.policy.lead_time,
        lead_time_origin=snapshot.lead_time_origin if snapshot else "",
        window=entry.policy.window,
        served=decision.value if decision else None,
        would_serve=decision.would_serve if decision else None,
        active=decision.active if decision else None,
        reason=why,
        observed=_observed(entry, now),
        forecast=_forecast(outlook, decision, now) if outlook else None,
        gate=_gate(outlook) if outlook else None,
        event=_event(decision) if decision else None,
        note=snapshot.note if snapshot else "",
        warning=snapshot.warning if snapshot else "",
        source_error=mask(snapshot.error) if snapshot else "",
    )


def _place(shown: TriggerView | Explanation) -> tuple[str, str, str]:
    return shown.namespace, shown.name, shown.trigger


def _decided(entry: Known, now: float) -> tuple[Decision | None, str]:
    """The decision and its reason, or none and the error that KEDA gets."""
    snapshot = entry.snapshot
    if entry.refusal is not None:
        return None, mask(str(entry.refusal))
    if snapshot is None:
        return None, "the load is not known yet: the first answer of the source is awaited"
    try:
        decision = decide(snapshot, entry.policy, now=now)
    except ForesailError as error:
        return None, mask(str(error))
    return decision, reason(decision, entry.policy, snapshot)


def _observed_age(snapshot: Snapshot | None, now: float) -> float | None:
    if snapshot is None or snapshot.observed is None:
        return None
    return max(0.0, now - snapshot.observed_at)


def _observed(entry: Known, now: float) -> ObservedPart | None:
    age = _observed_age(entry.snapshot, now)
    if age is None or entry.snapshot is None or entry.snapshot.observed is None:
        return None
    value, headroom = entry.snapshot.observed, entry.policy.headroom
    return ObservedPart(value=value, age=age, headroom=headroom, floor=headroom * value)


def _event(decision: Decision) -> EventPart | None:
    event = decision.event
    if event is None:
        return None
    return EventPart(
        name=event.name,
        factor=event.factor,
        floor=event.floor,
        until=event.until,
        asks=decision.asked,
        used=decision.would_serve == decision.asked,
    )


def _gate(outlook: Outlook) -> GatePart:
    return GatePart(
        trusted=outlook.trusted,
        verdict=outlook.verdict,
        gain=outlook.gain,
        coverage=outlook.coverage,
        level=outlook.level,
    )


def _forecast(outlook: Outlook, decision: Decision | None, now: float) -> ForecastPart:
    return ForecastPart(
        quantile=outlook.quantile,
        peak=decision.forecast if decision else None,
        peak_in=decision.peak_in if decision else None,
        cap=decision.cap if decision else None,
        highest=outlook.highest,
        age=now - outlook.origin,
        model=outlook.forecaster,
        explanation=outlook.explanation,
        model_age=now - outlook.fitted_at,
        bands=outlook.bands,
        choice=outlook.choice,
        used=decision.usable if decision else False,
    )
