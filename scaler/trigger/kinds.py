"""Kinds of values that only triggers have."""

from __future__ import annotations

from scaler.kinds import DAY, HOUR, Kind, Unreadable, duration, matching, number, text

__all__ = ["COVARIATES", "FORECASTER", "LEAD_TIME", "QUANTILE", "SHORTFALL", "STEP", "WORKLOAD"]


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


_QUANTILE_RANGE = number(minimum=0.5, maximum=0.999)


def _parse_quantile(value: str) -> float | None:
    if value == "auto":
        return None
    try:
        return _QUANTILE_RANGE.parse(value)
    except Unreadable as error:
        raise Unreadable(f"{error}, or auto") from None


def _show_quantile(value: float | None) -> str:
    return "auto" if value is None else _QUANTILE_RANGE.show(value)


QUANTILE: Kind[float | None] = Kind(says=_QUANTILE_RANGE.says + ", or auto", parse=_parse_quantile, show=_show_quantile)
"""A quantile level; None: chosen."""


def _parse_shortfall(value: str) -> float:
    if not value.endswith("%"):
        raise Unreadable("it must be a percentage of the load from 0% to 50%, such as 0.1%")
    return _PERCENT.parse(value[:-1].strip()) / 100.0


def _show_shortfall(value: float | None) -> str:
    return "" if value is None else f"{_PERCENT.show(100.0 * value)}%"


_PERCENT = number(minimum=0.0, maximum=50.0)
SHORTFALL: Kind[float | None] = Kind(
    says="a percentage from 0% to 50%, such as 0.1%", parse=_parse_shortfall, show=_show_shortfall
)
"""A part of the load; None: not given."""

MAX_COVARIATES = 4
"""Of one trigger: each is a history as long as the load's."""

_QUERY = text(says="a query with one result", maximum=4096)


def _parse_covariates(value: str) -> tuple[str, ...]:
    queries = tuple(_QUERY.parse(line.strip()) for line in value.splitlines() if line.strip())
    if len(queries) > MAX_COVARIATES:
        raise Unreadable(f"it has {len(queries)} queries; at most {MAX_COVARIATES} are accepted")
    if len(set(queries)) < len(queries):
        raise Unreadable("it has the same query twice")
    return queries


COVARIATES: Kind[tuple[str, ...]] = Kind(
    says=f"up to {MAX_COVARIATES} queries with one result each, one a line", parse=_parse_covariates, show="\n".join
)
"""Queries."""

WORKLOAD = matching(
    r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", "the name of a Deployment or StatefulSet, as Kubernetes has it"
)
FORECASTER = matching(r"[a-z0-9][a-z0-9-]{0,63}", "the name of a forecaster, such as auto or seasonal-naive")
