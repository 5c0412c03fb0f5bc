"""The metrics of triggers as Prometheus' text: written here, for a fleet's are 170,000 lines.

prometheus_client takes 2.5 s of CPU for those of ten thousand triggers, and calls wait for the interpreter all that
time; this takes a fifth of it. The registry's own metrics, a hundred lines, are the library's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client.utils import floatToGoString

from scaler.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["TriggerReading", "trigger_page"]

_number: Callable[[float], str] = floatToGoString


class TriggerReading(Protocol):
    """What is exported of one trigger; None where it is not known."""

    @property
    def namespace(self) -> str: ...  # noqa: D102  # the ScaledObject's
    @property
    def name(self) -> str: ...  # noqa: D102  # the ScaledObject's
    @property
    def trigger(self) -> str: ...  # noqa: D102  # digest of the metadata
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def served(self) -> float | None: ...  # noqa: D102
    @property
    def active(self) -> bool | None: ...  # noqa: D102
    @property
    def observed(self) -> float | None: ...  # noqa: D102
    @property
    def observed_age(self) -> float | None: ...  # noqa: D102  # seconds
    @property
    def bands(self) -> Mapping[str, float]: ...  # noqa: D102  # level -> forecast peak
    @property
    def forecast_age(self) -> float | None: ...  # noqa: D102  # seconds
    @property
    def trusted(self) -> bool | None: ...  # noqa: D102
    @property
    def gain(self) -> float | None: ...  # noqa: D102  # of the gate
    @property
    def coverage(self) -> float | None: ...  # noqa: D102
    @property
    def quantile(self) -> float | None: ...  # noqa: D102  # that is promised
    @property
    def level(self) -> float | None: ...  # noqa: D102  # the quantile that forecasts are read at
    @property
    def lead_time(self) -> float | None: ...  # noqa: D102  # seconds


def trigger_page(readings: Iterable[TriggerReading]) -> bytes:
    """One family a metric, one sample a trigger and known value."""
    lines: dict[metrics.Metric, list[str]] = {metric: _head(metric) for metric in _OF_TRIGGERS}
    count = 0
    for reading in readings:
        count += 1
        labels = _labels((reading.namespace, reading.name, reading.trigger, reading.metric))
        for metric, value in (
            (metrics.SERVED, reading.served),
            (metrics.OBSERVED, reading.observed),
            (metrics.OBSERVED_AGE, reading.observed_age),
            (metrics.FORECAST_AGE, reading.forecast_age),
            (metrics.GATE_TRUSTED, reading.trusted),
            (metrics.GATE_GAIN, reading.gain),
            (metrics.GATE_COVERAGE, reading.coverage),
            (metrics.QUANTILE, reading.quantile),
            (metrics.READ_LEVEL, reading.level),
            (metrics.LEAD_TIME, reading.lead_time),
            (metrics.ACTIVE, reading.active),
        ):
            if value is not None:
                lines[metric].append(f"{metric.name}{{{labels}}} {_number(value)}\n")
        of_levels = lines[metrics.FORECAST]
        for level, peak in reading.bands.items():
            of_levels.append(f'{metrics.FORECAST.name}{{{labels},level="{level}"}} {_number(peak)}\n')
    total = [*_head(metrics.TRIGGERS), f"{metrics.TRIGGERS.name} {_number(count)}\n"]
    return "".join("".join(part) for part in (*lines.values(), total)).encode()


def _head(metric: metrics.Metric) -> list[str]:
    doc = metric.doc.replace("\\", r"\\").replace("\n", r"\n")
    return [f"# HELP {metric.name} {doc}\n# TYPE {metric.name} {metric.kind}\n"]


def _labels(values: tuple[str, ...]) -> str:
    pairs = zip(metrics.SERVED.labels, values, strict=True)
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in pairs])


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


_OF_TRIGGERS = (
    metrics.SERVED,
    metrics.OBSERVED,
    metrics.OBSERVED_AGE,
    metrics.FORECAST,
    metrics.FORECAST_AGE,
    metrics.GATE_TRUSTED,
    metrics.GATE_GAIN,
    metrics.GATE_COVERAGE,
    metrics.QUANTILE,
    metrics.READ_LEVEL,
    metrics.LEAD_TIME,
    metrics.ACTIVE,
)
