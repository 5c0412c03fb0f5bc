"""From decisions and triggers to what goes over the wire: one spec, one value, never a bad number.

KEDA reads the float fields from 2.17 on and only the whole-number fields before. A whole number loses what a
fractional threshold says (0.5 would become 1, half the pods), so for such a threshold both whole numbers, the
target and the value, are given in tenths, hundredths or thousandths: what an old KEDA divides stays right.
Newer releases never read them: a target is above 0, and a value of 0 is 0 in any unit. The HPA itself counts
in thousandths. Only a formula (`scalingModifiers`) in an old KEDA sees the unit, and asks for too many pods.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message

from scaler.decision import HIGHEST_SERVABLE
from scaler.errors import ValueUnservable
from scaler.pb.externalscaler_pb2 import GetMetricSpecResponse, GetMetricsResponse, IsActiveResponse

if TYPE_CHECKING:
    from scaler.decision import Decision
    from scaler.trigger import TriggerConfig

__all__ = ["activity", "metric_spec", "metrics", "read"]

_M = TypeVar("_M", bound=Message)

_UNITS = (1, 10, 100, 1000)
"""Parts of 1 that the whole-number fields may count in."""


def read(kind: type[_M], data: bytes) -> _M | None:
    """The message that these bytes are; None if they are none of its kind."""
    try:
        return kind.FromString(data)
    except DecodeError:
        return None


def metric_spec(trigger: TriggerConfig) -> GetMetricSpecResponse:
    """The trigger's one metric and the load that one pod carries; a function of the metadata alone."""
    whole = round(trigger.threshold * _unit(trigger.threshold))
    response = GetMetricSpecResponse()
    response.metricSpecs.add(  # half the cost of a message made beside it
        metricName=trigger.metric_name,
        targetSize=min(max(1, whole), int(HIGHEST_SERVABLE)),
        targetSizeFloat=trigger.threshold,
    )
    return response


def metrics(trigger: TriggerConfig, decision: Decision) -> GetMetricsResponse:
    """The one value that the HPA scales for.

    Raises:
        ValueUnservable: The value is negative, not finite or too large. KEDA would turn it into 0.
    """
    value = _servable(decision)
    response = GetMetricsResponse()
    response.metricValues.add(
        metricName=trigger.metric_name,
        metricValue=_whole(value, _unit(trigger.threshold)),
        metricValueFloat=value,
    )
    return response


def activity(decision: Decision) -> IsActiveResponse:
    """Whether the workload should run at all.

    Raises:
        ValueUnservable: As `metrics`: what GetMetrics refuses to say, IsActive does not turn into a `false`.
    """
    _servable(decision)
    return IsActiveResponse(result=decision.active)


def _servable(decision: Decision) -> float:
    """The decision's value, never -0.0. Deciding checks the same; this is the last line before the wire."""
    if 0.0 <= decision.value <= HIGHEST_SERVABLE:  # false for NaN too
        return abs(decision.value)
    raise ValueUnservable(
        f"the value to serve is {decision.value}: the HPA takes finite numbers from 0 to {HIGHEST_SERVABLE:g}"
    )


def _unit(threshold: float) -> int:
    """The coarsest part of 1 in which the threshold is a whole number; a thousandth if none is."""
    for unit in _UNITS:
        if (threshold * unit).is_integer():
            return unit
    return _UNITS[-1]


def _whole(value: float, unit: int) -> int:
    """The value in parts of 1, rounded up: rounding must never take a pod away."""
    if unit == 1:
        return math.ceil(value)
    # 1.1 x 10 is 11.000000000000002: the product's own rounding error must not become a whole part
    return min(math.ceil(round(value * unit, 6)), int(HIGHEST_SERVABLE))
