"""The page of triggers is what prometheus_client would write, and what it can read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from scaler.telemetry import metrics
from scaler.telemetry.trigger_page import trigger_page


@dataclass(frozen=True, kw_only=True)
class Reading:
    namespace: str = "shop"
    name: str = "checkout"
    trigger: str = "0123456789abcdef"
    metric: str = "foresail-requests"
    served: float | None = None
    active: bool | None = None
    observed: float | None = None
    observed_age: float | None = None
    bands: dict[str, float] = field(default_factory=dict)
    forecast_age: float | None = None
    trusted: bool | None = None
    gain: float | None = None
    coverage: float | None = None
    quantile: float | None = None
    level: float | None = None
    lead_time: float | None = None


READINGS = [
    Reading(served=1.0, active=True, observed=1e9, bands={"0.5": 1 / 3, "0.99": 1234567.0}, forecast_age=0.5),
    Reading(
        name='odd \\ "name"\n',
        served=math.inf,
        trusted=False,
        gain=-0.25,
        coverage=1.0,
        quantile=0.9,
        level=0.91,
        lead_time=180.0,
    ),
    Reading(name="nothing-known"),
]


def theirs() -> str:
    """The same by the library."""
    families = {
        metric: GaugeMetricFamily(metric.name, metric.doc, labels=metric.labels)
        for metric in metrics.EDGE
        if "trigger" in metric.labels
    }
    figures = {
        metrics.SERVED: "served",
        metrics.OBSERVED: "observed",
        metrics.OBSERVED_AGE: "observed_age",
        metrics.FORECAST_AGE: "forecast_age",
        metrics.GATE_TRUSTED: "trusted",
        metrics.GATE_GAIN: "gain",
        metrics.GATE_COVERAGE: "coverage",
        metrics.QUANTILE: "quantile",
        metrics.READ_LEVEL: "level",
        metrics.LEAD_TIME: "lead_time",
        metrics.ACTIVE: "active",
    }
    for reading in READINGS:
        labels = [reading.namespace, reading.name, reading.trigger, reading.metric]
        for metric, name in figures.items():
            if getattr(reading, name) is not None:
                families[metric].add_metric(labels, getattr(reading, name))
        for level, peak in reading.bands.items():
            families[metrics.FORECAST].add_metric([*labels, level], peak)
    total = GaugeMetricFamily(metrics.TRIGGERS.name, metrics.TRIGGERS.doc)
    total.add_metric([], len(READINGS))

    class Collector:
        def collect(self) -> list[GaugeMetricFamily]:
            return [*families.values(), total]

    registry = CollectorRegistry()
    registry.register(Collector())
    return generate_latest(registry).decode()


def normal(page: str) -> list[str]:
    """Lines in order, labels in order: the library sorts them by name."""
    lines = []
    for line in page.splitlines():
        head, brace, rest = line.partition("{")
        labels, end, value = rest.rpartition("} ")
        lines.append(head + brace + ",".join(sorted(labels.split('",'))).replace('"', "") + end + value)
    return sorted(lines)


def test_it_says_what_the_library_says() -> None:
    assert normal(trigger_page(READINGS).decode()) == normal(theirs())


def test_without_triggers_there_are_the_names_and_a_zero() -> None:
    page = trigger_page([]).decode()
    assert page.endswith("foresail_triggers 0.0\n")
    assert "# TYPE foresail_served_value gauge\n" in page
