"""The decision log as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from scaler.errors import ForesailError
from scaler.kinds import DAY, MINUTE, Unreadable, duration, quoted
from scaler.telemetry.masking import mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.decision.change import Change

__all__ = ["SPAN", "DecisionPages", "InvalidSince", "Log", "LoggedDecision"]

SPAN = duration(minimum=MINUTE, maximum=800 * DAY)
"""How far back one may ask."""

_DEFAULT = "6h"


class InvalidSince(ForesailError):
    """The span asked for is none."""


class LoggedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A change of what was answered.

    Attributes:
        at: Epoch seconds.
        trigger: Digest of the metadata.
        served: None: an error was answered.
        would_serve: What active mode would have served; None with an error.
        active: None: an error was answered.
        source: Which part set the value: observed, forecast, cap, event, observe-mode, or unknown with an error.
        reason: The sentence that was given then, or the error.
        observed: The load; None with an error.
        floor: headroom x observed; None with an error.
        forecast: The quantile of the peak, before caps; None where there was none.
        cap: The lowest cap in force; None where there was no forecast.
        forecast_used: The forecast took part.
        event: Name of the announced event that asked for most; "" where there was none.
        event_asks: For how much.
    """

    at: float
    trigger: str
    served: float | None
    would_serve: float | None
    active: bool | None
    source: str
    reason: str
    observed: float | None
    floor: float | None
    forecast: float | None
    cap: float | None
    forecast_used: bool
    event: str
    event_asks: float


class Log(Protocol):
    """Where changes are kept: `scaler.edge.logbook.Logbook`."""

    async def read(self, namespace: str, name: str, *, since: float) -> list[tuple[str, Change]]:
        """The changes of a ScaledObject's triggers since then, each with the trigger's digest. Raises EngineLost."""
        ...


class DecisionPages:
    """Answers questions about what was decided."""

    def __init__(self, log: Log, *, clock: Callable[[], float]) -> None:
        """Args:
        log: Where changes are kept.
        clock: Epoch seconds.
        """
        self._log = log
        self._clock = clock

    async def decisions(self, namespace: str, name: str, since: str) -> list[LoggedDecision]:
        """The changes of a ScaledObject's answers, the oldest first.

        Args:
            namespace: Of the ScaledObject.
            name: Of the ScaledObject.
            since: How far back, such as `6h`; "": six hours.

        Raises:
            InvalidSince: It is no duration.
            EngineLost: The engine, which keeps them, does not answer.
        """
        try:
            span = SPAN.parse(since or _DEFAULT)
        except Unreadable as error:
            raise InvalidSince(f"since is {quoted(since)}: {error.reason}") from None
        found = await self._log.read(namespace, name, since=self._clock() - span)
        return [logged(trigger, change) for trigger, change in found]


def logged(trigger: str, change: Change) -> LoggedDecision:
    """The change as it is shown."""
    known = change.value is not None
    return LoggedDecision(
        at=change.at,
        trigger=trigger,
        served=change.value,
        would_serve=change.would_serve if known else None,
        active=change.active,
        source=change.source,
        reason=mask(change.reason),
        observed=change.observed if known else None,
        floor=change.floor if known else None,
        forecast=change.forecast,
        cap=change.cap,
        forecast_used=change.usable,
        event=change.event.name if change.event else "",
        event_asks=change.asked,
    )
