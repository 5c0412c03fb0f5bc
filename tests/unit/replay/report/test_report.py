from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.decision import DecisionPolicy
from scaler.replay.behavior import parse_behavior
from scaler.replay.compare import Point
from scaler.replay.gating import GateChange, GateLog
from scaler.replay.report import Content, Shown, page
from scaler.replay.report.content import coverage, episodes
from scaler.replay.report.words import scaled_object, summary
from scaler.replay.simulator import Workload
from scaler.replay.study import Setting, Study

MINUTES = 240


@pytest.fixture
def content() -> Content:
    load = np.full(MINUTES, 40.0)
    load[100:110] = 200.0
    load[180:182] = 90.0
    study = Study(
        series=TimeSeries(0, 60, load),
        start=0,
        workload=Workload(target=10.0, pod_startup=(60.0,)),
        decision=DecisionPolicy(threshold=10.0, lead_time=60.0),
    )
    return Content(
        name="Shop & Co",
        study=study,
        chosen=shown(study, 2.0, "KEDA with headroom 2"),
        others=[shown(study, 1.0, "plain KEDA")],
        equal_cost=None,
        curves={},
        calibration={},
        forecasts="",
    )


def shown(study: Study, headroom: float, label: str) -> Shown:
    _, outcome = study.run(Setting("reactive", headroom), {})
    return Shown(label, Point.of(outcome, policy="reactive", headroom=headroom, quantile=None), outcome)


def test_events_are_stretches_of_shortfall_the_worst_first(content: Content) -> None:
    outcome = content.others[0].outcome
    first, second = episodes([outcome], most=5)
    assert (first.first, second.first) == (400, 720)
    assert first.peak == 200.0
    assert sum(first.shed) + sum(second.shed) == pytest.approx(float(outcome.shortfall.sum()) * 15)
    assert first.shed[0] > second.shed[0]
    assert episodes([outcome], most=1) == [first]


def test_no_shortfall_is_no_event(content: Content) -> None:
    _, oracle = content.study.run(Setting("oracle"), {})
    assert episodes([oracle], most=5) == []


def test_coverage_counts_peaks_at_or_below_the_forecast() -> None:
    series = TimeSeries(0, 60, np.array([0.0, 1.0, 3.0, 2.0, np.nan, 5.0, 1.0]))
    peaks = np.full((2, 7, 2), np.nan)
    peaks[0, :4] = 2.0
    peaks[1, :4] = 3.0
    # the maxima of the two samples after each of 0..3 are 3, 3, unknown, unknown
    assert coverage(series, peaks, (0.5, 0.9), steps=2, first=0) == {0.5: 0.0, 0.9: 1.0}
    assert coverage(series, peaks, (0.5, 0.9), steps=2, first=5) == {}
    assert coverage(series, peaks, (0.5, 0.9), steps=2, first=6) == {}


def with_shed(one: Shown, shed: float) -> Shown:
    return replace(one, point=replace(one.point, under_provisioned_load=shed))


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        (0.001, 0.004, "leaves 0.400%: 75% less is shed for the same money."),
        (0.001, 0.001, "leaves 0.100%: that is no gain: plain KEDA with headroom does as well here."),
        (
            0.003,
            0.002,
            "leaves 0.200%: that is 50% worse than plain KEDA: do not turn it on for this workload as it is.",
        ),
        (0.0, 0.0, "sheds nothing either: there is nothing to gain here."),
    ],
)
def test_the_verdict_is_told_whichever_way_it_falls(content: Content, ours: float, theirs: float, says: str) -> None:
    equal = with_shed(content.others[0], theirs)
    told = summary(replace(content, chosen=with_shed(content.chosen, ours), equal_cost=equal))
    assert told[2] == f"Plain KEDA given the same pod-hours (plain KEDA) {says}"


def test_the_scaled_object_is_what_was_replayed(content: Content) -> None:
    behavior = parse_behavior({"scaleDown": {"stabilizationWindowSeconds": 60, "tolerance": "0.05"}})
    study = replace(
        content.study,
        workload=replace(content.study.workload, behavior=behavior),
        decision=DecisionPolicy(threshold=10.0, lead_time=90.0, activation_threshold=2.0),
    )
    point = replace(content.chosen.point, policy="foresail", quantile=0.95, headroom=1.1)
    chosen = replace(content.chosen, point=point)
    assert scaled_object(replace(content, study=study, chosen=chosen)) == (
        """apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: shop---co
spec:
  scaleTargetRef:
    name: shop---co  # your Deployment
  minReplicaCount: 1
  maxReplicaCount: 80  # the replay's highest was 40
  pollingInterval: 30
  cooldownPeriod: 300
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp:
          stabilizationWindowSeconds: 0
          selectPolicy: Max
          policies:
            - {type: Pods, value: 4, periodSeconds: 15}
            - {type: Percent, value: 100, periodSeconds: 15}
        scaleDown:
          stabilizationWindowSeconds: 60
          selectPolicy: Max
          tolerance: "0.05"
          policies:
            - {type: Percent, value: 100, periodSeconds: 15}
  triggers:
    - type: external
      metadata:
        scalerAddress: foresail.foresail.svc:6000
        serverAddress: http://prometheus.monitoring.svc:9090  # your Prometheus
        query: sum(rate(http_requests_total[1m]))  # the query behind this history
        threshold: "10"
        leadTime: 1m30s
        activationThreshold: "2"
        quantile: "0.95"
        headroom: "1.1"
"""
    )


def test_a_page_without_curves_and_forecasts_stands(content: Content) -> None:
    text = page(content)
    assert "<title>Foresail on Shop &amp; Co</title>" in text
    assert "What a little more costs" not in text
    assert "The events that hurt most" in text


def test_the_gate_is_told_and_when_it_left_the_forecast_out(content: Content) -> None:
    trusting = GateLog(0.0, (), "the gate trusts the forecast", 0.4, 0.9)
    page_of_trust = page(replace(content, gate=trusting))
    assert "The gate let the forecast take part throughout; at the end: the gate trusts the forecast." in page_of_trust
    assert "<h2>The gate</h2>" not in page_of_trust
    changes = tuple(GateChange(60 * n, bool(n % 2), f"verdict {n}") for n in range(14))
    text = page(replace(content, gate=GateLog(0.25, changes, "verdict 13", -0.2, 0.7)))
    assert "The gate demoted the forecast 7 times, for 25.0% of the replay: headroom x observed was served" in text
    assert "<h2>The gate</h2>" in text
    assert "is left out" in text
    assert "verdict 11" in text
    assert "verdict 12</td>" not in text
    assert "2 more changes." in text
