"""A fleet of ScaledObjects: their metadata, their loads, and KEDA's requests for them, ready to send."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from forecasting.series import FloatArray, TimeSeries
from scaler.pb.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from scaler.trigger import TriggerConfig, parse_trigger

__all__ = [
    "SOURCE",
    "STEP",
    "WEEK",
    "Fleet",
    "Requests",
    "counted",
    "free_port",
    "labels_of",
    "load_text",
    "loads",
    "member_of",
]

SOURCE = "bench"
STEP = 60
WEEK = 7 * 86400
_SHAPES = 16
_MEMBER = re.compile(r"svc-([0-9]{6})")


def _shapes() -> FloatArray:
    """A week of load by the minute for each of the shapes, around 1; shape (shapes, minutes)."""
    minutes = np.arange(WEEK // STEP)
    chance = np.random.default_rng(7)
    rows = []
    for shape in range(_SHAPES):
        day = np.sin(2 * np.pi * (minutes / 1440 + shape / _SHAPES))
        weekend = np.where(minutes // 1440 >= 5, 0.6, 1.0)
        bursts = np.where(minutes % (60 + 5 * shape) < 4, 0.4, 0.0)
        noise = 0.05 * np.convolve(chance.normal(size=len(minutes) + 4), np.ones(5) / 5, "valid")
        rows.append(np.maximum(0.05, (1.0 + 0.6 * day) * weekend + bursts + noise))
    return np.array(rows)


_TABLE = _shapes()
_ROWS: list[list[float]] = _TABLE.tolist()
_SUMS: list[list[float]] = np.hstack([np.zeros((_SHAPES, 1)), STEP * np.cumsum(_TABLE, axis=1)]).tolist()


def _level(member: int) -> float:
    return 20.0 + member * 7919 % 1000


def loads(member: int, start: int, count: int, step: int = STEP) -> FloatArray:
    """The load of one member at start, start + step, ..."""
    minutes = (start + step * np.arange(count)) // STEP % (WEEK // STEP)
    values: FloatArray = _level(member) * _TABLE[member % _SHAPES, minutes]
    return values


def load_text(member: int, time: int) -> str:
    """The load of one member at one moment, as Prometheus writes numbers."""
    return f"{_level(member) * _ROWS[member % _SHAPES][time // STEP % (WEEK // STEP)]:.6f}"


def counted(member: int, time: float) -> float:
    """The counter of one member at one moment, whose rate is its load."""
    weeks, within = divmod(time, WEEK)
    minute = int(within // STEP)
    shape = member % _SHAPES
    whole = weeks * _SUMS[shape][-1] + _SUMS[shape][minute]
    return _level(member) * (whole + _ROWS[shape][minute] * (within - minute * STEP))


def labels_of(member: int) -> str:
    """What tells the member's series from others, as PromQL and as expositions have it."""
    return f'namespace="{_namespace(member)}",service="svc-{member:06}"'


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def member_of(query: str) -> int:
    """Which member a query is for.

    Raises:
        ValueError: It is none of the fleet's.
    """
    found = _MEMBER.search(query)
    if found is None:
        raise ValueError(f"no query of the fleet: {query!r}")
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Requests:
    """One member's requests as bytes."""

    ref: bytes  # of GetMetricSpec and IsActive
    metrics: bytes  # of GetMetrics


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """ScaledObjects with one trigger and one query each, over one Prometheus, the source SOURCE of the settings.

    Attributes:
        size: How many.
        forecaster: That their triggers ask for.
        days: Of history that they learn from.
    """

    size: int
    forecaster: str = "auto"
    days: int = 8

    def metadata(self, member: int) -> dict[str, str]:
        """As KEDA sends it: its own entries included."""
        return {
            "scalerAddress": "foresail.keda.svc:6000",
            "source": SOURCE,
            "query": f"sum(rate(http_requests_total{{{labels_of(member)}}}[2m]))",
            "threshold": "50",
            "activationThreshold": "1",
            "leadTime": "3m",
            "forecaster": self.forecaster,
            "historyTimeWindow": f"{self.days}d",
        }

    def trigger(self, member: int) -> TriggerConfig:
        """The member's metadata, parsed."""
        return parse_trigger(namespace=_namespace(member), name=_name(member), metadata=self.metadata(member))

    def past(self, member: int, *, end: int, count: int) -> TimeSeries:
        """The last so many samples of its history up to `end`."""
        start = end - (count - 1) * STEP
        return TimeSeries(start, STEP, loads(member, start, count))

    @cached_property
    def requests(self) -> list[Requests]:
        """KEDA's requests for each member."""
        made = []
        for member in range(self.size):
            ref = ScaledObjectRef(
                name=_name(member), namespace=_namespace(member), scalerMetadata=self.metadata(member)
            )
            metrics = GetMetricsRequest(scaledObjectRef=ref, metricName=f"s0-foresail-{member}")
            made.append(Requests(ref.SerializeToString(), metrics.SerializeToString()))
        return made


def _namespace(member: int) -> str:
    return f"team-{member % 40:02}"


def _name(member: int) -> str:
    return f"svc-{member:06}"
