"""Alerts and recording rules, evaluated by promtool on the series that each is for, and on those that it is not for."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.manifests import CHART, ROOT

if TYPE_CHECKING:
    from pathlib import Path

FILES = CHART / "files"
TRIGGER = 'namespace="shop", scaled_object="web", trigger="t1", metric="m"'
ON = 'instance="a:8080"'
OTHER = 'instance="b:8080"'


@dataclass(frozen=True, kw_only=True)
class Case:
    """An alert, the series that it fires on, and when, in minutes.

    Attributes:
        series: Samples in promtool's notation, by series.
        quiet: A moment at which it must not fire yet (or not any more).
        fires: One at which it must.
        labels: Of the alert that fires, in promtool's notation.
        step: Minutes between two samples, and between two evaluations.
    """

    series: dict[str, str]
    quiet: int
    fires: int
    labels: str
    step: int = 1


MEDIAN = 'namespace="shop", scaled_object="api", trigger="t2"'
SHOP = 'namespace="shop", scaled_object="web", trigger="t1"'
CASES = {
    "ForesailLoadUnknown": Case(
        # two triggers, one of which has lost its value after ten minutes
        series={
            f"foresail_triggers{{{ON}}}": "2+0x60",
            f"foresail_served_value{{{TRIGGER}, {ON}}}": "100+0x60",
            f'foresail_served_value{{namespace="shop", scaled_object="api", trigger="t2", metric="m", {ON}}}': "5+0x9",
        },
        quiet=15,
        fires=25,
        labels=f'severity="warning", {ON}',
    ),
    "ForesailObservedStale": Case(
        series={f"foresail_observed_age_seconds{{{TRIGGER}, {ON}}}": "10+0x9 60+60x20"},
        quiet=15,
        fires=20,
        labels=f'severity="warning", {SHOP}',
    ),
    "ForesailForecastStale": Case(
        # grows from the tenth minute on, is too old from the fourteenth, and for ten minutes from the twenty-fourth
        series={f"foresail_forecast_age_seconds{{{TRIGGER}, {ON}}}": "30+0x9 60+60x40"},
        quiet=23,
        fires=28,
        labels=f'severity="warning", {SHOP}',
    ),
    "ForesailNoForecast": Case(
        series={f"foresail_served_value{{{TRIGGER}, {ON}}}": "100+0x500"},
        quiet=4310,
        fires=4330,
        step=10,
        labels=f'severity="info", {TRIGGER}, {ON}',
    ),
    "ForesailGateDemoted": Case(
        # one replica still trusts it until the hundredth minute
        series={
            f"foresail_gate_trusted{{{TRIGGER}, {ON}}}": "0+0x180",
            f"foresail_gate_trusted{{{TRIGGER}, {OTHER}}}": "1+0x19 0+0x160",
        },
        quiet=730,
        fires=830,
        step=5,
        labels=f'severity="info", {SHOP}',
    ),
    "ForesailCoverageOff": Case(
        series={
            f"foresail_gate_coverage_ratio{{{TRIGGER}, {ON}}}": "0.9+0x9 0.7+0x400",
            f"foresail_quantile_ratio{{{TRIGGER}, {ON}}}": "0.9+0x410",
            # a median's forecast promises a half only
            f"foresail_gate_coverage_ratio{{{MEDIAN}, {ON}}}": "0.5+0x410",
            f"foresail_quantile_ratio{{{MEDIAN}, {ON}}}": "0.5+0x410",
        },
        quiet=365,
        fires=375,
        labels=f'severity="warning", {SHOP}',
    ),
    "ForesailReplicasDisagree": Case(
        series={
            f"foresail_served_value{{{TRIGGER}, {ON}}}": "100+0x60",
            f"foresail_served_value{{{TRIGGER}, {OTHER}}}": "110+0x9 140+0x60",
        },
        quiet=35,
        fires=45,
        labels=f'severity="info", {SHOP}',
    ),
    "ForesailDown": Case(
        series={f'foresail_build_info{{version="1", {ON}}}': "1+0x10"}, quiet=18, fires=22, labels='severity="critical"'
    ),
    "ForesailEngineDown": Case(
        series={f"foresail_engine_up{{{ON}}}": "1+0x9 0+0x20"}, quiet=14, fires=16, labels=f'severity="critical", {ON}'
    ),
    "ForesailEngineRestarts": Case(
        series={f"foresail_engine_restarts_total{{{ON}}}": "0+0x9 1+0x9 2+0x9 4+0x20"},
        quiet=28,
        fires=35,
        labels=f'severity="warning", {ON}',
    ),
    "ForesailSourceFailing": Case(
        series={
            f'foresail_source_requests_total{{request="instant", {ON}}}': "0+4x60",
            f'foresail_source_errors_total{{request="instant", kind="refused", {ON}}}': "0+0x9 0+1x50",
        },
        quiet=15,
        fires=30,
        labels=f'severity="warning", {ON}',
    ),
    "ForesailSlowAnswers": Case(
        series={
            f'foresail_rpc_seconds_bucket{{method="GetMetrics", le="1", {ON}}}': "0+100x9 900+50x40",
            f'foresail_rpc_seconds_bucket{{method="GetMetrics", le="2.5", {ON}}}': "0+100x50",
            f'foresail_rpc_seconds_bucket{{method="GetMetrics", le="+Inf", {ON}}}': "0+100x50",
        },
        quiet=15,
        fires=30,
        labels=f'severity="warning", {ON}',
    ),
    "ForesailLoopLag": Case(
        series={
            f'foresail_edge_loop_lag_seconds_bucket{{le="0.25", {ON}}}': "0+60x9 540+30x40",
            f'foresail_edge_loop_lag_seconds_bucket{{le="1", {ON}}}': "0+60x50",
            f'foresail_edge_loop_lag_seconds_bucket{{le="+Inf", {ON}}}': "0+60x50",
        },
        quiet=15,
        fires=30,
        labels=f'severity="warning", {ON}',
    ),
    "ForesailFitsBehind": Case(
        series={f"foresail_fit_queue_length{{{ON}}}": "5+0x30 0 5+0x300"},
        quiet=200,
        fires=220,
        labels=f'severity="warning", {ON}',
    ),
    "ForesailFitsFailing": Case(
        series={
            f'foresail_fits_total{{forecaster="auto", outcome="fitted", {ON}}}': "0+1x60 60+0x600",
            f'foresail_fits_total{{forecaster="auto", outcome="failed", {ON}}}': "0+0x60 0+1x600",
            # trials on the past are neither
            f'foresail_fits_total{{forecaster="auto", outcome="tested", {ON}}}': "0+3x660",
        },
        quiet=100,
        fires=260,
        labels=f'severity="warning", {ON}',
    ),
    "ForesailStoreFailing": Case(
        series={f"foresail_store_errors_total{{{ON}}}": "0+0x9 0+1x40"},
        quiet=13,
        fires=17,
        labels=f'severity="warning", {ON}',
    ),
    "ForesailCertificateEnds": Case(
        # promtool's clock begins at 0: with 8 days left it is quiet for a day and an hour
        series={f"foresail_tls_certificate_not_after_seconds{{{ON}}}": f"{8 * 86400}+0x300"},
        quiet=1490,
        fires=1510,
        step=10,
        labels=f'severity="critical", {ON}',
    ),
    "ForesailBug": Case(
        # a counter with labels begins with its first bug, not with 0
        series={f'foresail_bugs_total{{job="refresh", {ON}}}': "_x10 1+0x200"},
        quiet=9,
        fires=12,
        labels=f'severity="warning", job="refresh", {ON}',
    ),
}


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((FILES / name).read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def evaluated(directory: Path, tests: list[dict[str, Any]]) -> None:
    """Promtool finds that the rules behave as these tests say."""
    rule_files = [str(FILES / name) for name in ("alerts.yaml", "recording.yaml")]
    suite = {"rule_files": rule_files, "evaluation_interval": tests[0]["interval"], "tests": tests}
    path = directory / "tests.yaml"
    path.write_text(yaml.safe_dump(suite, width=1000))
    promtool("test", "rules", str(path))


def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", str(FILES / "alerts.yaml"), str(FILES / "recording.yaml"))


def test_every_alert_has_its_case_and_its_section_in_the_runbook() -> None:
    alerts = rules("alerts.yaml")
    assert sorted(rule["alert"] for rule in alerts) == sorted(CASES)
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "operating.md").read_text(), flags=re.MULTILINE)
    for rule in alerts:
        page, _, anchor = rule["annotations"]["runbook_url"].rpartition("#")
        assert page == "https://github.com/foresail/foresail/blob/main/docs/operating.md"
        assert anchor == rule["alert"].lower()
        assert rule["alert"] in headings


@pytest.mark.parametrize("alert", CASES)
def test_it_fires_on_what_it_is_for_and_not_before(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    firing = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    sample = {"labels": f'ALERTS{{alertname="{alert}", alertstate="firing", {case.labels}}}', "value": 1}
    test = {
        "interval": f"{case.step}m",
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{case.quiet}m", "exp_samples": []},
            {"expr": firing, "eval_time": f"{case.fires}m", "exp_samples": [sample]},
        ],
    }
    evaluated(tmp_path, [test])


def test_the_alerts_texts_are_filled_in(tmp_path: Path) -> None:
    by_name = {rule["alert"]: rule for rule in rules("alerts.yaml")}
    rule = by_name["ForesailCoverageOff"]
    case = CASES["ForesailCoverageOff"]
    expected = {
        "exp_labels": {"severity": "warning", "namespace": "shop", "scaled_object": "web", "trigger": "t1"},
        "exp_annotations": rule["annotations"]
        | {"summary": "70% of the peaks of shop/web stayed below their forecast, far fewer than promised"},
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "alert_rule_test": [
            {"alertname": "ForesailCoverageOff", "eval_time": f"{case.fires}m", "exp_alerts": [expected]}
        ],
    }
    evaluated(tmp_path, [test])


def test_the_forecast_is_recorded_once_whatever_number_of_replicas_answers(tmp_path: Path) -> None:
    series = {
        f"foresail_served_value{{{TRIGGER}, {ON}}}": "120+0x10",
        f"foresail_served_value{{{TRIGGER}, {OTHER}}}": "110+0x10",
        f"foresail_observed_value{{{TRIGGER}, {ON}}}": "100+0x10",
        f'foresail_forecast_value{{{TRIGGER}, level="0.9", {ON}}}': "115+0x10",
        f'foresail_forecast_value{{{TRIGGER}, level="0.9", {OTHER}}}': "116+0x10",
        f'foresail_rpc_total{{method="GetMetrics", code="OK", {ON}}}': "0+90x10",
        f'foresail_rpc_total{{method="GetMetrics", code="UNAVAILABLE", {ON}}}': "0+10x10",
        f'foresail_source_requests_total{{request="instant", {ON}}}': "0+10x10",
    }
    recorded = {
        "foresail:served_value:max": (f"{{{TRIGGER}}}", 120),
        "foresail:observed_value:max": (f"{{{TRIGGER}}}", 100),
        "foresail:forecast_value:max": (f'{{{TRIGGER}, level="0.9"}}', 116),
        "foresail:served_to_observed:ratio": (f"{{{TRIGGER}}}", 1.2),
        "foresail:rpc_errors:ratio_rate5m": ("", 0.1),
        "foresail:source_errors:ratio_rate5m": ("", 0),
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": name, "eval_time": "10m", "exp_samples": [{"labels": name + labels, "value": value}]}
            for name, (labels, value) in recorded.items()
        ],
    }
    evaluated(tmp_path, [test])
