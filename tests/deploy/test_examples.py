"""The examples: KEDA's schema takes them, our server takes their triggers, and they do what they say."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import pytest

from scaler.replay.behavior import parse_behavior, recommended_behavior
from scaler.trigger import parse_trigger
from tests.support import manifests
from tests.support.manifests import DEPLOY, documents

if TYPE_CHECKING:
    from pathlib import Path

    from scaler.trigger import TriggerConfig

FILES = sorted((DEPLOY / "examples").glob("*.yaml"))
ADDRESS = "foresail.foresail.svc:6000"
# those whose comments say why they keep the HPA's own behavior, or have another
OWN_BEHAVIOR = {
    *("beside-cpu", "kafka", "llm", "observe-first"),
    *(f"from-{scaler}.{when}" for scaler in ("prometheus", "predictkube") for when in ("before", "after")),
}


def example(name: str) -> dict[str, Any]:
    (found,) = [one for one in documents((DEPLOY / "examples" / name).read_text()) if one["kind"] == "ScaledObject"]
    return found


def triggers(scaled_object: dict[str, Any]) -> list[TriggerConfig]:
    """Our own triggers, read as the server reads them."""
    metadata = scaled_object["metadata"]
    return [
        parse_trigger(namespace=metadata["namespace"], name=metadata["name"], metadata=trigger["metadata"])
        for trigger in scaled_object["spec"]["triggers"]
        if trigger["type"].startswith("external")
    ]


def test_kedas_schema_takes_them() -> None:
    assert manifests.problems([one for path in FILES for one in documents(path.read_text())], versions=("1.37",)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_our_server_takes_their_triggers(path: Path) -> None:
    scaled_object = example(path.name)
    read = triggers(scaled_object)
    assert bool(read) != path.stem.endswith(".before")
    for trigger in scaled_object["spec"]["triggers"]:
        if trigger["type"].startswith("external"):
            assert trigger["metadata"]["scalerAddress"] == ADDRESS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_sets_a_behavior_that_a_replay_understands(path: Path) -> None:
    spec = example(path.name)["spec"]
    behavior = parse_behavior(spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"])
    assert (behavior == recommended_behavior()) == (path.stem not in OWN_BEHAVIOR)
    assert spec["minReplicaCount"] < spec["maxReplicaCount"]
    if not path.stem.endswith(".before"):
        assert spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]


def test_kubernetes_knows_the_recommended_behavior_from_the_version_on_that_the_page_says() -> None:
    spec = example("web.yaml")["spec"]
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "keda-hpa-web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": spec["minReplicaCount"],
            "maxReplicas": spec["maxReplicaCount"],
            "behavior": spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
        },
    }
    assert manifests.problems([hpa], versions=("1.33", "1.35", "1.37")) == []
    (problem,) = manifests.problems([hpa], versions=("1.32",))
    assert "('tolerance' was unexpected)" in problem


def test_leaving_the_prometheus_trigger_changes_two_lines() -> None:
    before, after = ((DEPLOY / "examples" / f"from-prometheus.{when}.yaml").read_text() for when in ("before", "after"))
    lines = [
        line
        for line in difflib.ndiff(before.splitlines(), after.splitlines())
        if line[0] in "+-" and not line[1:].strip().startswith("#")
    ]
    assert lines == [
        "-     - type: prometheus",
        "+     - type: external",
        f"+         scalerAddress: {ADDRESS}",
    ]


def test_leaving_predictkube_keeps_the_metadata() -> None:
    before, after = (
        example(f"from-predictkube.{when}.yaml")["spec"]["triggers"][0]["metadata"] for when in ("before", "after")
    )
    assert before | {"scalerAddress": ADDRESS} == after


def test_they_show_what_they_are_named_for() -> None:
    assert triggers(example("observe-first.yaml"))[0].mode == "observe"
    asleep = example("scale-to-zero.yaml")
    assert (asleep["spec"]["minReplicaCount"], triggers(asleep)[0].activation_threshold) == (0, 1.0)
    assert asleep["spec"]["triggers"][0]["type"] == "external-push"
    assert {trigger["type"] for trigger in example("beside-cpu.yaml")["spec"]["triggers"]} == {"external", "cpu"}
    assert {trigger["type"] for trigger in example("kafka.yaml")["spec"]["triggers"]} == {"external", "kafka"}
    model = triggers(example("llm.yaml"))[0]
    assert (model.cost_ratio, model.max_factor) == (4.0, 1.5)
    formula = example("scaling-modifiers.yaml")["spec"]
    names = {trigger["name"] for trigger in formula["triggers"]}
    words = set(formula["advanced"]["scalingModifiers"]["formula"].replace("/", " ").replace("+", " ").split())
    assert {word for word in words if word.isalpha()} == names
