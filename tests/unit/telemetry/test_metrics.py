"""The pages of edge and engine: every declared metric is there, no name twice, values as told."""

from __future__ import annotations

import asyncio
import subprocess
from collections import deque
from dataclasses import dataclass, field

import pytest
from grpc import StatusCode
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from scaler.engine.fits import Priority
from scaler.errors import EngineLost, SourceUnreachable, StoreError
from scaler.telemetry.edge import EdgeMetrics, MetricsPage
from scaler.telemetry.engine import EngineMetrics
from scaler.telemetry.loop_lag import watch_loop
from scaler.telemetry.metrics import EDGE, ENGINE, reference_page
from scaler.telemetry.throttle import Throttle
from scaler.tenancy.ledger import Usage


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


KNOWN = Reading(
    served=120.0,
    active=True,
    observed=100.0,
    observed_age=3.0,
    bands={"0.5": 90.0, "0.9": 115.5},
    forecast_age=42.0,
    trusted=False,
    gain=-0.25,
    coverage=0.5,
    quantile=0.9,
    level=0.92,
    lead_time=42.0,
)
UNKNOWN = Reading(name='odd "name"\n')

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(page: bytes) -> Samples:
    families = text_string_to_metric_families(page.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(page: bytes, name: str, **labels: str) -> float | None:
    return samples(page).get((name, tuple(sorted(labels.items()))))


class Parts:
    def __init__(self, *readings: Reading) -> None:
        self.registry = CollectorRegistry()
        self.edge = EdgeMetrics(self.registry, version="1.2.3", triggers=lambda: readings)
        self.now = 0.0
        self.engine = EngineMetrics(CollectorRegistry(), monotonic=lambda: self.now)

    async def page(self) -> bytes:
        async def engine_metrics() -> bytes:
            return self.engine.page()

        return await MetricsPage(self.edge, engine_metrics=engine_metrics).render()


async def _exercised() -> bytes:
    parts = Parts(KNOWN, UNKNOWN)
    parts.edge.call_ended("GetMetrics", StatusCode.OK, 0.002)
    parts.edge.call_ended("StreamIsActive", StatusCode.CANCELLED, 900.0)
    parts.edge.loop_late(0.002)
    parts.edge.engine_lost()
    parts.engine.source_asked("instant", SourceUnreachable("down"), series="s")
    parts.engine.fitted("ets", "fitted", 1.5)
    parts.engine.fitted("ets", "lost", 0.0)
    parts.engine.fit_turn(Priority.DRIFTED, 42.0)
    parts.engine.evicted("room", 3)
    parts.engine.worker_lost()
    parts.engine.store_failed(StoreError("full"))
    parts.engine.bug("step 0123", ValueError("x"))
    parts.engine.loop_late(0.2)
    parts.engine.follow(
        series=lambda: 7, series_bytes=lambda: 7 << 17, fits_waiting=lambda: 2, files_set_aside=lambda: 1
    )
    parts.edge.follow_certificate(lambda: 1.8e9)
    parts.engine.follow_namespaces(lambda: [("shop", Usage({"s": (2, 80)}, triggers=2, bytes=80, fits=deque([1.0])))])
    return await parts.page()


async def test_all_that_is_declared_is_exported_and_nothing_else() -> None:
    page = await _exercised()
    exported = [line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE")]
    assert len(exported) == len(set(exported))
    ours = {name for name in exported if not name.startswith(("process_", "foresail_engine_process_"))}
    assert {name for name in ours if not name.endswith("_created")} == {metric.name for metric in (*EDGE, *ENGINE)}
    assert "process_resident_memory_bytes" in exported
    assert "foresail_engine_process_resident_memory_bytes" in exported


async def test_what_a_namespace_takes() -> None:
    page = await _exercised()
    for name, figure in (("triggers", 2.0), ("series", 1.0), ("fits", 1.0), ("samples_bytes", 80.0)):
        assert value(page, f"foresail_namespace_{name}", namespace="shop") == figure


async def test_the_end_of_the_certificate_is_read_at_each_page() -> None:
    parts, ends = Parts(), iter([100.0, 200.0])
    parts.edge.follow_certificate(lambda: next(ends))
    for end in (b"100.0", b"200.0"):
        assert b"foresail_tls_certificate_not_after_seconds " + end in await parts.page()


async def test_figures_are_those_told() -> None:
    page = await _exercised()
    trigger = {
        "namespace": "shop",
        "scaled_object": "checkout",
        "trigger": "0123456789abcdef",
        "metric": "foresail-requests",
    }
    assert value(page, "foresail_served_value", **trigger) == 120.0
    assert value(page, "foresail_active", **trigger) == 1.0
    assert value(page, "foresail_observed_value", **trigger) == 100.0
    assert value(page, "foresail_observed_age_seconds", **trigger) == 3.0
    assert value(page, "foresail_forecast_value", **trigger, level="0.9") == 115.5
    assert value(page, "foresail_forecast_age_seconds", **trigger) == 42.0
    assert value(page, "foresail_gate_trusted", **trigger) == 0.0
    assert value(page, "foresail_gate_gain_ratio", **trigger) == -0.25
    assert value(page, "foresail_gate_coverage_ratio", **trigger) == 0.5
    assert value(page, "foresail_forecast_level_ratio", **trigger) == 0.92
    assert value(page, "foresail_quantile_ratio", **trigger) == 0.9
    assert value(page, "foresail_lead_time_seconds", **trigger) == 42.0
    assert value(page, "foresail_triggers") == 2.0
    assert value(page, "foresail_rpc_total", method="GetMetrics", code="OK") == 1.0
    assert value(page, "foresail_rpc_total", method="StreamIsActive", code="CANCELLED") == 1.0
    assert value(page, "foresail_rpc_seconds_count", method="GetMetrics") == 1.0
    assert value(page, "foresail_rpc_seconds_count", method="StreamIsActive") is None
    assert value(page, "foresail_engine_up") == 1.0
    assert value(page, "foresail_engine_restarts_total") == 1.0
    assert value(page, "foresail_source_requests_total", request="instant") == 1.0
    assert value(page, "foresail_source_errors_total", request="instant", kind="SourceUnreachable") == 1.0
    assert value(page, "foresail_fits_total", forecaster="ets", outcome="lost") == 1.0
    assert value(page, "foresail_fit_cpu_seconds_sum", forecaster="ets") == 1.5
    assert value(page, "foresail_fit_cpu_seconds_count", forecaster="ets") == 1.0
    assert value(page, "foresail_fit_queue_length") == 2.0
    assert value(page, "foresail_fit_wait_seconds_sum", kind="drifted") == 42.0
    assert value(page, "foresail_fit_workers_lost_total") == 1.0
    assert value(page, "foresail_series") == 7.0
    assert value(page, "foresail_series_bytes") == 7 << 17
    assert value(page, "foresail_evicted_triggers_total", reason="room") == 3.0
    assert value(page, "foresail_store_errors_total") == 1.0
    assert value(page, "foresail_store_files_set_aside") == 1.0
    assert value(page, "foresail_bugs_total", job="step") == 1.0


async def test_what_is_not_known_is_absent_and_never_0() -> None:
    page = await Parts(UNKNOWN).page()
    assert not [name for name, labels in samples(page) if ("scaled_object", UNKNOWN.name) in labels]
    assert value(page, "foresail_triggers") == 1.0


async def test_promtool_can_read_the_page() -> None:
    page = await _exercised()
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)  # noqa: ASYNC221  # a test
    assert b"error while linting" not in checked.stderr
    assert checked.returncode in {0, 3}, checked.stderr  # 3: it would have chosen other names
    complaints = [line for line in checked.stderr.decode().splitlines() if "_created" not in line]
    assert complaints == []


async def test_an_engine_that_is_lost_or_slow_leaves_the_edge_s_page() -> None:
    parts = Parts(KNOWN)

    async def lost() -> bytes:
        raise EngineLost("being started again")

    async def slow() -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    for engine_metrics in (lost, slow):
        page = await MetricsPage(parts.edge, engine_metrics=engine_metrics, within=0.01).render()
        assert value(page, "foresail_engine_up") == 0.0
        assert value(page, "foresail_served_value", **_labels()) == 120.0
    assert value(await parts.page(), "foresail_engine_up") == 1.0


def _labels() -> dict[str, str]:
    return {
        "namespace": KNOWN.namespace,
        "scaled_object": KNOWN.name,
        "trigger": KNOWN.trigger,
        "metric": KNOWN.metric,
    }


def test_a_registry_takes_them_once() -> None:
    parts = Parts()
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        EdgeMetrics(parts.registry, version="", triggers=list)


def test_log_lines_of_one_kind_are_paced(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts()
    for _ in range(1000):
        parts.engine.source_asked("instant", SourceUnreachable("down"), series="s")
    parts.engine.source_asked("range", SourceUnreachable("down"), series="s")
    parts.now = 60.0
    parts.engine.source_asked("instant", SourceUnreachable("down"), series="s")
    parts.engine.source_asked("instant", None, series="s")
    held = [vars(record)["foresail_fields"]["like_it_before"] for record in caplog.records]
    assert [record.getMessage() for record in caplog.records] == ["source.failed"] * 2
    assert held == [0, 1000]


def test_a_bug_is_told_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts()
    for _ in range(3):
        parts.engine.bug("step 0123", ValueError("x"))
    assert [record.getMessage() for record in caplog.records] == ["engine.bug"]
    assert caplog.records[0].exc_info is not None


def test_the_throttle_forgets_what_it_has_not_seen_for_long() -> None:
    throttle = Throttle(every=60.0, monotonic=lambda: 0.0)
    assert throttle.due("first") == 0
    assert throttle.due("first") is None
    for n in range(1000):
        assert throttle.due(f"kind {n}") == 0
    assert throttle.due("first") == 0
    assert throttle.due("kind 999") is None


async def test_a_late_loop_is_seen() -> None:
    lags: list[float] = []
    told = asyncio.Event()

    def late(seconds: float) -> None:
        lags.append(seconds)
        if len(lags) == 301:
            told.set()

    counts: list[int] = []
    watch = asyncio.create_task(watch_loop(late, tasks=counts.append, every=0.001))
    await told.wait()
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    assert all(lag >= 0.0 for lag in lags)
    # this test's own, and the watch; not counted at every look, for that takes long where there are many
    assert counts[:1] == [len(asyncio.all_tasks()) + 1]
    assert len(counts) in {1, 2}


async def test_looks_that_fell_due_while_the_loop_was_held_up_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    lags, told, clock, rest = list[float](), asyncio.Event(), [100.0], asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock[0] += seconds
        await rest(0)

    def late(seconds: float) -> None:
        lags.append(round(seconds, 3))
        clock[0] += 0.05 if len(lags) == 1 else 0.0  # something computes where it must not
        if len(lags) == 6:
            told.set()

    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock[0])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    watch = asyncio.create_task(watch_loop(late, every=0.01))
    await told.wait()
    watch.cancel()
    assert lags[1:] == [0.04, 0.03, 0.02, 0.01, 0.0]


def test_the_reference_page_has_them_all() -> None:
    page = reference_page("generated")
    assert [name for name in (metric.name for metric in (*EDGE, *ENGINE)) if f"| `{name}` |" not in page] == []


def test_why_a_fit_failed_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Parts(KNOWN).engine.fitted("ets", "failed", 0.0, reason="ets needs 240 known samples of history, this series has 2")
    (record,) = caplog.records
    fields = vars(record)["foresail_fields"]
    assert (record.getMessage(), fields["forecaster"], fields["reason"]) == (
        "fit.failed",
        "ets",
        "ets needs 240 known samples of history, this series has 2",
    )
