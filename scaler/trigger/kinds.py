"""Kinds of values that only triggers have."""

from __future__ import annotations

from scaler.kinds import DAY, HOUR, Kind, Unreadable, duration, matching

__all__ = ["FORECASTER", "LEAD_TIME", "STEP", "WORKLOAD"]


def _parse_step(value: str) -> int:
    seconds = _STEP_RANGE.parse(value)
    if seconds % 1 or DAY % seconds:
        raise Unreadable("it must be whole seconds that divide a day, such as 15s, 30s, 1m, 5m, 15m or 1h")
    return int(seconds)


_STEP_RANGE = duration(minimum=1.0, maximum=HOUR)
STEP: Kind[int] = Kind(says=_STEP_RANGE.says + " that divides a day", parse=_parse_step, show=_STEP_RANGE.show)
_LEAD_RANGE = duration(minimum=1.0, maximum=6 * HOUR)


def _parse_lead_time(value: str) -> float | None:
    return None if value == "auto" else _LEAD_RANGE.parse(value)


def _show_lead_time(value: float | None) -> str:
    return "auto" if value is None else _LEAD_RANGE.show(value)


LEAD_TIME: Kind[float | None] = Kind(says=_LEAD_RANGE.says + ", or auto", parse=_parse_lead_time, show=_show_lead_time)
"""Seconds; None: measured."""

WORKLOAD = matching(
    r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", "the name of a Deployment or StatefulSet, as Kubernetes has it"
)
FORECASTER = matching(r"[a-z0-9][a-z0-9-]{0,63}", "the name of a forecaster, such as auto or seasonal-naive")
