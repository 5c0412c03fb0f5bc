"""The dashboard's queries, asked of a real Prometheus that scrapes a real server; so are those of alerts and rules."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import web

from scaler.keda.client import KedaClient, ref
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "deploy" / "helm" / "foresail" / "files"
STEP = 60
DAY = 86_400

# Not there in the first minutes of a server with which nothing is wrong.
LATER = {
    "foresail_gate_gain_ratio": "needs three hours of forecasts that have resolved",
    "foresail_gate_coverage_ratio": "the same",
    "foresail_source_errors_total": "begins with the first error of its kind",
    "foresail_bugs_total": "begins with the first bug",
    "foresail_tls_certificate_not_after_seconds": "absent without TLS",
}
VARIABLES = {"$namespace": "shop", "$scaled_object": "web", "$trigger": ".*", "$__rate_interval": "10s"}
HPA = "".join(
    f'kube_horizontalpodautoscaler_{name}{{namespace="shop", horizontalpodautoscaler="keda-hpa-web"}} {value}\n'
    for name, value in (("status_current_replicas", 3), ("status_desired_replicas", 4), ("spec_max_replicas", 60))
)


def panels() -> list[dict[str, Any]]:
    dashboard: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    """Where each query stands, and the query; the rules' own series are replaced by nothing."""
    found = [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]
    for name in ("alerts.yaml", "recording.yaml"):
        groups = yaml.safe_load((FILES / name).read_text())["groups"]
        found += [(rule.get("alert", rule.get("record")), rule["expr"]) for group in groups for rule in group["rules"]]
    return found


def names(query: str) -> set[str]:
    return set(re.findall(r"\b(?:foresail|process|kube)_[a-z0-9_]+", query))


def filled_in(query: str) -> str:
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


@pytest.fixture
async def exporter() -> AsyncIterator[str]:
    """What kube-state-metrics would tell of the HPA."""
    application = web.Application()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=HPA)

    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def source(prometheus_server: Any) -> Any:
    """Three days of a load that comes and goes daily."""
    end = int(time.time()) // STEP * STEP
    samples = [(float(t), 100.0 + 80.0 * (t % DAY > DAY / 2) + t % 7) for t in range(end - 3 * DAY, end + STEP, STEP)]
    return prometheus_server([("load", {"pod": "web"}, samples)])


@pytest.fixture
def server(tmp_path: Path, source: Any) -> Iterator[Server]:
    one = Server(tmp_path, source.url)
    yield one
    one.kill()


async def test_every_query_finds_what_the_server_tells(
    server: Server, source: Any, prometheus_server: Any, exporter: str
) -> None:
    await server.start()
    monitoring = await asyncio.to_thread(
        prometheus_server, scrape=[server.http.removeprefix("http://"), exporter], scrape_interval="1s"
    )
    metadata = {
        "scalerAddress": "foresail.foresail.svc:6000",
        "serverAddress": source.url,
        "query": "sum(load)",
        "threshold": "10",
        "forecaster": "seasonal-naive",
        "historyTimeWindow": "3d",
    }
    missing = {query: title for title, query in queries() if _expected(title, query)}
    for _, query in queries():
        _rows(monitoring, filled_in(query))  # Prometheus can read every one, also those that find nothing now

    async def all_found() -> bool:
        await client.poll(ref(metadata, namespace="shop", name="web"))
        for query in [query for query in missing if _rows(monitoring, filled_in(query))]:
            del missing[query]
        return not missing

    async with KedaClient(server.grpc) as client:
        await until(all_found, lambda: f"nothing is found by: {missing}")


def _rows(monitoring: Any, query: str) -> list[dict[str, object]]:
    """What the query finds; one that Prometheus cannot read raises."""
    rows: list[dict[str, object]] = monitoring.query(query, at=time.time())
    return rows


def _expected(title: str, query: str) -> bool:
    """Alerts find nothing while all is well; neither does what comes later."""
    return not title.startswith("Foresail") and not names(query) & set(LATER)


def test_every_metric_that_is_asked_for_is_told() -> None:
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    told = set(re.findall(r"^\| `(foresail_\w+)`", reference, flags=re.MULTILINE))
    histograms = {name + "_bucket" for name in told if name.endswith("_seconds")}
    processes = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
    processes |= {f"foresail_engine_{name}" for name in processes}
    asked = {name for _, query in queries() for name in names(query) if not name.startswith("kube_")}
    assert asked - told - histograms - processes == set()
    assert set(LATER) <= told


def test_the_panels_fit_into_the_grid_and_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
