"""Every metric that is exported, declared once: the objects and docs/reference/metrics.md are made from here.

Two processes export: the edge, which serves the page, and the engine, whose page the edge appends to its own. So no
name may stand in both lists. Labels are bounded: by triggers in use, by KEDA's calls, by forecasters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["EDGE", "ENGINE", "Metric", "reference_page"]

_NAMESPACE = ("namespace",)
_TRIGGER = ("namespace", "scaled_object", "trigger", "metric")
_CALL_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_FIT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_WAIT_BUCKETS = (0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 48 * 3600.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's declaration. A counter's name ends in `_total`, a figure with a unit in the unit."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    doc: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        """The counter, registered."""
        return Counter(self.name, self.doc, self.labels, registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """The gauge, registered."""
        return Gauge(self.name, self.doc, self.labels, registry=registry)

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        """The histogram, registered."""
        return Histogram(self.name, self.doc, self.labels, registry=registry, buckets=self.buckets)

    def family(self) -> GaugeMetricFamily:
        """An empty family, for gauges that are read when they are asked for."""
        return GaugeMetricFamily(self.name, self.doc, labels=self.labels)


SERVED = Metric("foresail_served_value", "gauge", "What GetMetrics answers now; absent while it is an error.", _TRIGGER)
OBSERVED = Metric("foresail_observed_value", "gauge", "The load as the source last gave it.", _TRIGGER)
OBSERVED_AGE = Metric(
    "foresail_observed_age_seconds", "gauge", "How long ago the source gave the observed value.", _TRIGGER
)
FORECAST = Metric(
    "foresail_forecast_value",
    "gauge",
    "The forecast peak of the load over the lead time, at this quantile level.",
    (*_TRIGGER, "level"),
)
FORECAST_AGE = Metric(
    "foresail_forecast_age_seconds", "gauge", "Time since the last sample that the forecast has seen.", _TRIGGER
)
GATE_TRUSTED = Metric(
    "foresail_gate_trusted", "gauge", "1 while the gate lets the forecast take part, 0 while it does not.", _TRIGGER
)
GATE_GAIN = Metric(
    "foresail_gate_gain_ratio",
    "gauge",
    "Cost of errors that the forecast has avoided lately, in parts of the larger cost; negative: it caused that part. "
    "Absent while too few forecasts have resolved.",
    _TRIGGER,
)
GATE_COVERAGE = Metric(
    "foresail_gate_coverage_ratio",
    "gauge",
    "Part of the recent peaks at or below their forecast; the trigger's quantile is what is promised. Absent likewise.",
    _TRIGGER,
)
QUANTILE = Metric(
    "foresail_quantile_ratio",
    "gauge",
    "The quantile of the coming peak that is forecast: given, or chosen for the shortfall that sloShortfall allows.",
    _TRIGGER,
)
READ_LEVEL = Metric(
    "foresail_forecast_level_ratio",
    "gauge",
    "The quantile level that the forecast is read at: the trigger's quantile, corrected by what came of the forecasts "
    "before, so that the promised part of the peaks stays at or below it.",
    _TRIGGER,
)
LEAD_TIME = Metric(
    "foresail_lead_time_seconds", "gauge", "How long a pod asked for now takes to serve: given, or measured.", _TRIGGER
)
ACTIVE = Metric("foresail_active", "gauge", "What IsActive answers now; absent while it is an error.", _TRIGGER)
TRIGGERS = Metric("foresail_triggers", "gauge", "Triggers in use.")
CERTIFICATE_END = Metric(
    "foresail_tls_certificate_not_after_seconds",
    "gauge",
    "When the certificate in force ends, epoch seconds; absent without TLS.",
)
BUILD_INFO = Metric("foresail_build_info", "gauge", "Always 1; the version is in the labels.", ("version", "python"))
RPCS = Metric("foresail_rpc_total", "counter", "Calls answered, by gRPC status.", ("method", "code"))
RPC_SECONDS = Metric(
    "foresail_rpc_seconds", "histogram", "Time to answer a call; streams are not counted.", ("method",), _CALL_BUCKETS
)
EDGE_LAG = Metric(
    "foresail_edge_loop_lag_seconds",
    "histogram",
    "How late the edge's event loop ran what was due, looked at ten times a second.",
    buckets=_LAG_BUCKETS,
)
EDGE_TASKS = Metric("foresail_edge_tasks", "gauge", "Tasks of the edge's event loop: calls, streams and connections.")
ENGINE_UP = Metric("foresail_engine_up", "gauge", "1 if the engine process gave its metrics for this page.")
ENGINE_RESTARTS = Metric("foresail_engine_restarts_total", "counter", "Times that the engine process was lost.")

EDGE = (
    SERVED,
    OBSERVED,
    OBSERVED_AGE,
    FORECAST,
    FORECAST_AGE,
    GATE_TRUSTED,
    GATE_GAIN,
    GATE_COVERAGE,
    QUANTILE,
    READ_LEVEL,
    LEAD_TIME,
    ACTIVE,
    TRIGGERS,
    RPCS,
    RPC_SECONDS,
    EDGE_LAG,
    EDGE_TASKS,
    ENGINE_UP,
    ENGINE_RESTARTS,
    CERTIFICATE_END,
    BUILD_INFO,
)
"""What the edge process exports, besides `process_*` of itself."""

SOURCE_REQUESTS = Metric(
    "foresail_source_requests_total", "counter", "Requests to sources: `instant` or `range`.", ("request",)
)
SOURCE_ERRORS = Metric(
    "foresail_source_errors_total", "counter", "Requests that failed, by kind of error.", ("request", "kind")
)
FITS = Metric(
    "foresail_fits_total",
    "counter",
    "Fits that ended: `fitted`, `failed`, `lost`, or `tested` on the past.",
    ("forecaster", "outcome"),
)
FIT_SECONDS = Metric(
    "foresail_fit_cpu_seconds", "histogram", "CPU time of the fits that succeeded.", ("forecaster",), _FIT_BUCKETS
)
FIT_WAIT = Metric(
    "foresail_fit_wait_seconds",
    "histogram",
    "How long fits waited for a worker, by what they are for: `forecast` (of a plug-in) and `new` (no model yet) go "
    "first, then `drifted` (the gate finds the forecasts worse than promised), `stale` (the period is over), and "
    "`past` (put to the test only). The rate of its `_count` is the pool's throughput.",
    ("kind",),
    _WAIT_BUCKETS,
)
FIT_QUEUE = Metric("foresail_fit_queue_length", "gauge", "Fits waiting for a worker.")
WORKERS_LOST = Metric("foresail_fit_workers_lost_total", "counter", "Fit workers that died or had to be killed.")
SERIES = Metric("foresail_series", "gauge", "Distinct series kept fresh; triggers with the same query share one.")
SERIES_BYTES = Metric(
    "foresail_series_bytes",
    "gauge",
    "Memory of the series, their models and all around them, as reckoned against the setting `memory_limit`.",
)
EVICTED = Metric(
    "foresail_evicted_triggers_total",
    "counter",
    "Triggers let go of: `idle`, not called for `idle_after`; or, not called for longest, to make `room` for another "
    "within `max_triggers` and `memory_limit`.",
    ("reason",),
)
NAMESPACE_TRIGGERS = Metric(
    "foresail_namespace_triggers", "gauge", "Triggers a namespace has in use; quota `namespace_triggers`.", _NAMESPACE
)
NAMESPACE_SERIES = Metric(
    "foresail_namespace_series", "gauge", "Distinct series kept fresh for it; quota `namespace_series`.", _NAMESPACE
)
NAMESPACE_FITS = Metric(
    "foresail_namespace_fits", "gauge", "Models fitted for it within the last hour; quota `namespace_fits`.", _NAMESPACE
)
NAMESPACE_BYTES = Metric(
    "foresail_namespace_samples_bytes", "gauge", "Memory for its samples; quota `namespace_bytes`.", _NAMESPACE
)
STORE_ERRORS = Metric("foresail_store_errors_total", "counter", "Times that the store could not be read or written.")
STORE_SET_ASIDE = Metric(
    "foresail_store_files_set_aside", "gauge", "Store files that could not be used and were renamed, since the start."
)
BUGS = Metric("foresail_bugs_total", "counter", "Jobs that ended in an error nobody foresaw: please report.", ("job",))
ENGINE_LAG = Metric(
    "foresail_engine_loop_lag_seconds",
    "histogram",
    "How late the engine's event loop ran what was due, looked at ten times a second.",
    buckets=_LAG_BUCKETS,
)
ENGINE_TASKS = Metric(
    "foresail_engine_tasks", "gauge", "Tasks of the engine's event loop: requests and fits under way."
)

ENGINE = (
    SOURCE_REQUESTS,
    SOURCE_ERRORS,
    FITS,
    FIT_SECONDS,
    FIT_WAIT,
    FIT_QUEUE,
    WORKERS_LOST,
    SERIES,
    SERIES_BYTES,
    EVICTED,
    NAMESPACE_TRIGGERS,
    NAMESPACE_SERIES,
    NAMESPACE_FITS,
    NAMESPACE_BYTES,
    STORE_ERRORS,
    STORE_SET_ASIDE,
    BUGS,
    ENGINE_LAG,
    ENGINE_TASKS,
)
"""What the engine process exports, besides `foresail_engine_process_*` of itself."""


def reference_page(note: str) -> str:
    """docs/reference/metrics.md.

    Args:
        note: Says that the page is generated, and by what.
    """
    lines = [
        f"<!-- {note} -->",
        "",
        "# Metrics",
        "",
        "`/metrics` of the HTTP address has all of them, those of the engine process included. While the engine is",
        "being restarted its own are missing and `foresail_engine_up` is 0. The page is Prometheus' text format.",
        "",
        "`trigger` is the digest of a trigger's metadata: two triggers of one ScaledObject differ by it. The labels",
        "`namespace` and `scaled_object` are the ScaledObject's; scrape with `honor_labels: true` to keep them so.",
    ]
    for title, metrics in (("Edge", EDGE), ("Engine", ENGINE)):
        lines += ["", f"## {title}", "", "| name | kind | labels | |", "|---|---|---|---|"]
        lines += [
            f"| `{m.name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.doc} |" for m in metrics
        ]
    lines += [
        "",
        "The processes themselves are in `process_*` (edge) and `foresail_engine_process_*` (engine): CPU, memory,",
        "open files, start time.",
    ]
    return "\n".join(lines) + "\n"
