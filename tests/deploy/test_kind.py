"""The kind cluster's scripts and manifests, as far as they can be judged without one."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scaler.trigger import parse_trigger
from tests.support import manifests
from tests.support.commands import of_script
from tests.support.manifests import DEPLOY, documents

if TYPE_CHECKING:
    from pathlib import Path

KIND = DEPLOY / "kind"
PROGRAMS = {"docker", "kind", "kubectl", "helm", "../image/docker.sh"}
FILES = ("monitoring.yaml", "workload.yaml")


def versions() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=([^\s#]+)", (KIND / "versions.sh").read_text(), flags=re.MULTILINE))


def everything() -> list[dict[str, Any]]:
    return [manifest for name in FILES for manifest in documents((KIND / name).read_text())]


@pytest.mark.parametrize("script", ["up.sh", "demo.sh", "down.sh"])
def test_a_dry_run_goes_through_and_needs_nothing_else(script: str) -> None:
    commands = of_script(script)
    assert {command[0] for command in commands} <= PROGRAMS
    for command in commands:
        for option in ("--config", "--file", "--filename", "--values"):
            if option in command:
                assert (KIND / command[command.index(option) + 1]).exists(), command


def test_the_demo_shows_what_prometheus_and_the_deployments_tell(tmp_path: Path) -> None:
    # a kubectl that answers as the cluster would: a value, none, and a deployment of which no pod is ready
    answers = tmp_path / "kubectl"
    answers.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        """*observed_value*) echo '{"data":{"result":[{"metric":{},"value":[1795332141.28,"117.4"]}]}}' ;;\n"""
        """*forecast_value*) echo '{"data":{"result":[{"metric":{},"value":[1795332141,"6.066e+02"]}]}}' ;;\n"""
        """*served_value*) echo '{"status":"success","data":{"resultType":"vector","result":[]}}' ;;\n"""
        "*'deployment ahead'*) printf '12 of 13' ;;\n"
        "*'deployment plain'*) printf ' of 3' ;;\n"
        "esac\n"
    )
    answers.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "ROUNDS": "1"}
    done = subprocess.run([str(KIND / "demo.sh")], capture_output=True, text=True, check=False, env=environ, timeout=30)
    assert done.returncode == 0, done.stderr
    *_, heading, row = done.stdout.splitlines()
    assert heading.split() == ["time", "load", "forecast", "served", "ahead", "plain"]
    assert row.split()[1:] == ["117", "607", "?", "12", "of", "13", "0", "of", "3"]


def test_up_builds_loads_and_installs_in_this_order() -> None:
    said = [" ".join(command) for command in of_script("up.sh")]
    order = [
        "kind create",
        "image/docker.sh foresail:kind",
        "kind load",
        "install keda",
        "monitoring.yaml",
        "foresail ../helm",
        "workload",
    ]
    places = [next(n for n, command in enumerate(said) if word in command) for word in order]
    assert places == sorted(places)
    assert f"--image {versions()['NODE_IMAGE']}" in said[0]
    (keda,) = [command for command in said if "install keda" in command]
    assert f"--version {versions()['KEDA_CHART']}" in keda


def test_every_version_is_pinned_and_every_image_loaded() -> None:
    pins = versions()
    assert re.fullmatch(r"kindest/node:v[\d.]+@sha256:[0-9a-f]{64}", pins["NODE_IMAGE"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", pins["KEDA_CHART"])
    (load,) = [command for command in of_script("up.sh") if command[:2] == ["kind", "load"]]
    loaded = {pins[name] for name in ("PROMETHEUS_IMAGE", "KUBE_STATE_METRICS_IMAGE", "FORESAIL_IMAGE")}
    assert loaded <= set(load)
    pods = [one["spec"]["template"]["spec"] for one in everything() if one["kind"] == "Deployment"]
    used = {part["image"] for pod in pods for part in [*pod["containers"], *pod.get("initContainers", [])]}
    values = yaml.safe_load((KIND / "values.yaml").read_text())["image"]
    assert used | {f"{values['repository']}:{values['tag']}"} == loaded
    assert not [image for image in used if image.endswith(":latest")]


def test_the_schemas_take_the_manifests_and_helm_the_values() -> None:
    (files,) = manifests.render(yaml.safe_load((KIND / "values.yaml").read_text()))
    chart = [manifest for text in files.values() for manifest in documents(text)]
    assert manifests.problems([*everything(), *chart], versions=("1.33",)) == []


def test_the_triggers_ask_where_prometheus_is_for_what_it_scrapes() -> None:
    objects = {one["metadata"]["name"]: one for one in everything() if one["kind"] == "ScaledObject"}
    ahead, plain = (objects[name]["spec"]["triggers"][0]["metadata"] for name in ("ahead", "plain"))
    trigger = parse_trigger(namespace="demo", name="ahead", metadata=ahead)
    assert trigger.server_address == "http://prometheus.monitoring.svc:9090"
    assert {key: ahead[key] for key in plain} == plain  # the two differ by who forecasts, and by nothing else
    (config,) = [one for one in everything() if one["kind"] == "ConfigMap"]
    jobs = {job["job_name"]: job for job in yaml.safe_load(config["data"]["prometheus.yml"])["scrape_configs"]}
    assert jobs["demo-load"]["static_configs"] == [{"targets": ["load.demo.svc:9000"]}]
    assert jobs["foresail"]["honor_labels"] is True
    behaviors = {yaml.safe_dump(one["spec"]["advanced"]) for one in objects.values()}
    assert len(behaviors) == 1


def test_containers_run_a_module_that_takes_their_arguments() -> None:
    from scaler.demo.__main__ import parser  # noqa: PLC0415 - what the containers import, and nobody else here

    pods = [one["spec"]["template"]["spec"] for one in everything() if one["kind"] == "Deployment"]
    ours = [
        part
        for pod in pods
        for part in [*pod["containers"], *pod.get("initContainers", [])]
        if "foresail" in part["image"]
    ]
    assert len(ours) == 4
    for part in ours:
        assert part["command"] == ["/opt/foresail/bin/python", "-m", "scaler.demo"]
        parser().parse_args(part["args"])
