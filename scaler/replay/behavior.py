"""The `behavior` of a HorizontalPodAutoscaler, read as the API server reads and completes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeGuard

from scaler.errors import InvalidSettings
from scaler.replay.quantity import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DEFAULT_TOLERANCE",
    "Behavior",
    "Policy",
    "Rules",
    "Select",
    "default_behavior",
    "parse_behavior",
    "recommended_behavior",
]

Select = Literal["Max", "Min", "Disabled"]

DEFAULT_TOLERANCE = 0.1
"""The controller manager's `--horizontal-pod-autoscaler-tolerance`."""

_DOWN_WINDOW = 300  # its `--horizontal-pod-autoscaler-downscale-stabilization`, seconds
_RECOMMENDED_WINDOW = 150
_LONGEST_PERIOD = 1800  # seconds, refused beyond by the API server
_LONGEST_WINDOW = 3600


@dataclass(frozen=True, slots=True)
class Policy:
    """A bound on the change of size: at most `value` pods, or per cent of the size, in `period` seconds."""

    kind: Literal["Pods", "Percent"]
    value: int
    period: int


@dataclass(frozen=True, slots=True)
class Rules:
    """How one direction is scaled.

    Attributes:
        window: Stabilisation window, seconds.
        select: Which of the policies' limits counts: that of the largest change, of the smallest, or none.
        policies: One or more.
        tolerance: Part by which the ratio of usage to target may be off without anything happening.
    """

    window: int
    select: Select
    policies: tuple[Policy, ...]
    tolerance: float = DEFAULT_TOLERANCE

    @property
    def longest_period(self) -> int:
        """The longest period of the policies, seconds."""
        return max(policy.period for policy in self.policies)


@dataclass(frozen=True, slots=True)
class Behavior:
    """The rules of both directions."""

    up: Rules
    down: Rules


_UP = Rules(0, "Max", (Policy("Pods", 4, 15), Policy("Percent", 100, 15)))
_DOWN = Rules(_DOWN_WINDOW, "Max", (Policy("Percent", 100, 15),))


def default_behavior() -> Behavior:
    """What the API server makes of an empty `behavior`; an HPA without one follows other rules."""
    return Behavior(_UP, _DOWN)


def recommended_behavior() -> Behavior:
    """What docs/scaledobject.md recommends beside a forecast.

    The forecast keeps pods through short dips, so the HPA need not for long; with an upward tolerance of 0 it asks for
    the pod that a foreseen load calls for, where the usual 10 % make it wait; and it may grow tenfold at once, where by
    default it doubles every 15 s, which makes the last pods of a steep rise late.
    """
    up = replace(_UP, policies=(Policy("Percent", 900, 15),), tolerance=0.0)
    return Behavior(up, replace(_DOWN, window=_RECOMMENDED_WINDOW))


def parse_behavior(spec: Mapping[str, object]) -> Behavior:
    """A `behavior` as in the manifest, with what is left out filled in as the API server does.

    Args:
        spec: `{"scaleUp": {...}, "scaleDown": {...}}`, as JSON or YAML give it.

    Raises:
        InvalidSettings: All that is wrong with it.
    """
    problems: list[str] = []
    _refuse_unknown(spec, ("scaleUp", "scaleDown"), "behavior", problems)
    up = _rules(spec.get("scaleUp"), _UP, "behavior.scaleUp", problems)
    down = _rules(spec.get("scaleDown"), _DOWN, "behavior.scaleDown", problems)
    if problems:
        raise InvalidSettings(problems)
    return Behavior(up, down)


def _rules(spec: object, default: Rules, path: str, problems: list[str]) -> Rules:
    if spec is None:
        return default
    if not isinstance(spec, dict):
        problems.append(f"{path} must be a mapping, not {spec!r}")
        return default
    known = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")
    _refuse_unknown(spec, known, path, problems)
    window = spec.get("stabilizationWindowSeconds", default.window)
    if not _is_count(window) or not 0 <= window <= _LONGEST_WINDOW:
        problems.append(
            f"{path}.stabilizationWindowSeconds must be a whole number from 0 to {_LONGEST_WINDOW}, not {window!r}"
        )
        window = default.window
    select = spec.get("selectPolicy", "Max")
    if select not in ("Max", "Min", "Disabled"):
        problems.append(f"{path}.selectPolicy must be Max, Min or Disabled, not {select!r}")
    return Rules(
        window,
        select,
        _policies(spec.get("policies"), default, f"{path}.policies", problems),
        _tolerance(spec.get("tolerance"), f"{path}.tolerance", problems),
    )


def _policies(spec: object, default: Rules, path: str, problems: list[str]) -> tuple[Policy, ...]:
    if spec is None:
        return default.policies
    if not isinstance(spec, list) or not spec:
        problems.append(f"{path} must be a list of at least one policy, not {spec!r}")
        return default.policies
    return tuple(_policy(item, f"{path}[{n}]", problems) for n, item in enumerate(spec))


def _policy(spec: object, path: str, problems: list[str]) -> Policy:
    if not isinstance(spec, dict):
        problems.append(f"{path} must be a mapping of type, value and periodSeconds, not {spec!r}")
        return _DOWN.policies[0]
    _refuse_unknown(spec, ("type", "value", "periodSeconds"), path, problems)
    kind, value, period = spec.get("type"), spec.get("value"), spec.get("periodSeconds")
    if kind not in ("Pods", "Percent"):
        problems.append(f"{path}.type must be Pods or Percent, not {kind!r}")
    if not _is_count(value) or value < 1:
        problems.append(f"{path}.value must be a whole number of at least 1, not {value!r}")
    if not _is_count(period) or not 1 <= period <= _LONGEST_PERIOD:
        problems.append(f"{path}.periodSeconds must be a whole number from 1 to {_LONGEST_PERIOD}, not {period!r}")
    return Policy(kind, value, period)  # type: ignore[arg-type]  # not used where a problem was found


def _tolerance(spec: object, path: str, problems: list[str]) -> float:
    if spec is None:
        return DEFAULT_TOLERANCE
    try:
        tolerance = float(quantity(str(spec)))
    except ValueError as error:
        problems.append(f"{path}: {error}")
        return DEFAULT_TOLERANCE
    if tolerance < 0:
        problems.append(f"{path} must be at least 0, not {spec!r}")
    return tolerance


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse_unknown(spec: Mapping[str, object], known: tuple[str, ...], path: str, problems: list[str]) -> None:
    problems.extend(f"{path}.{name} is not known; there are {', '.join(known)}" for name in spec if name not in known)
