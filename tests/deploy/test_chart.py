"""The chart, rendered by Helm itself: what it makes is what Kubernetes and our own server take."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from scaler.settings import load_settings
from tests.support import manifests
from tests.support.manifests import documents

if TYPE_CHECKING:
    from pathlib import Path

    from scaler.settings import Settings

ValueSets = dict[str, dict[str, str]]
SETS = ("default", "small", "sources", "tls-cert-manager", "tls-secret")


def workload(files: dict[str, str]) -> dict[str, Any]:
    (manifest,) = documents(files["statefulset.yaml"])
    return manifest


def container(files: dict[str, str]) -> dict[str, Any]:
    (one,) = workload(files)["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = one
    return found


def test_every_set_of_values_passes_the_schemas(rendered: ValueSets) -> None:
    assert tuple(sorted(rendered)) == SETS
    everything = [manifest for files in rendered.values() for text in files.values() for manifest in documents(text)]
    kinds = {manifest["kind"] for manifest in everything}
    assert {"StatefulSet", "Service", "NetworkPolicy", "Certificate", "ServiceMonitor", "PrometheusRule"} <= kinds
    assert manifests.problems(everything) == []


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        (
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": [{"port": 1}]}},
            "Additional properties are not allowed ('port' was unexpected)",
        ),
        (
            {
                "apiVersion": "keda.sh/v1alpha1",
                "kind": "ScaledObject",
                "metadata": {"name": "a"},
                "spec": {
                    "scaleTargetRef": {"name": "a"},
                    "triggers": [{"type": "external", "metadata": {"scalerAddress": "a:1"}}],
                    "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"tolerence": "0"}}}},
                },
            },
            "scaleUp: Additional properties are not allowed ('tolerence' was unexpected)",
        ),
        (
            {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "a"}, "spec": {}},
            "'scaleTargetRef' is a required property",
        ),
    ],
)
def test_the_schemas_find_what_is_misspelt(manifest: dict[str, Any], text: str) -> None:
    (problem,) = manifests.problems([manifest], versions=("1.37",))
    assert text in problem


@pytest.mark.parametrize("name", SETS)
def test_the_server_takes_the_settings(rendered: ValueSets, name: str, tmp_path: Path) -> None:
    (configmap,) = documents(rendered[name]["configmap.yaml"])
    text = configmap["data"]["foresail.toml"].replace("/var/run/secrets/foresail/prometheus", str(tmp_path))
    (tmp_path / "token").write_text("a-token-of-sixteen-characters-or-more")
    (tmp_path / "foresail.toml").write_text(text)
    environ = {"LEGACY_USERNAME": "u", "LEGACY_PASSWORD": "p"}
    settings = load_settings(path=tmp_path / "foresail.toml", environ=environ, overrides={})
    assert str(settings.data_dir) == "/var/lib/foresail"
    spec = workload(rendered[name])["spec"]["template"]["spec"]
    assert settings.drain_delay + settings.drain_grace < spec["terminationGracePeriodSeconds"]
    assert settings.grpc_address.endswith(f":{_port(rendered[name], 'grpc')}")
    assert settings.http_address.endswith(f":{_port(rendered[name], 'http')}")
    if name == "sources":
        assert settings.max_triggers == 5000
        assert sorted(settings.sources) == ["legacy", "main"]
        assert [tenant.namespaces for tenant in settings.tenants] == [("shop", "shop-*")]
        assert dict(settings.sources["main"].headers) == {"X-Scope-OrgID": "shop"}
        assert [rule.namespaces for rule in settings.events] == [("shop",)]


def _port(files: dict[str, str], name: str) -> int:
    found: int = next(port["containerPort"] for port in container(files)["ports"] if port["name"] == name)
    return found


@pytest.mark.parametrize("name", SETS)
def test_the_restricted_profile_would_let_it_in(rendered: ValueSets, name: str) -> None:
    pod = workload(rendered[name])["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container(rendered[name])["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    allowed = {"configMap", "emptyDir", "secret", "persistentVolumeClaim"}
    assert all(set(volume) - {"name"} <= allowed for volume in pod["volumes"])


@pytest.mark.parametrize("name", SETS)
def test_every_mount_has_its_volume_and_every_selector_its_pods(rendered: ValueSets, name: str) -> None:
    files = rendered[name]
    stateful = workload(files)
    pod = stateful["spec"]["template"]
    volumes = [volume["name"] for volume in pod["spec"]["volumes"]]
    volumes += [claim["metadata"]["name"] for claim in stateful["spec"].get("volumeClaimTemplates", [])]
    mounts = [mount["name"] for mount in container(files)["volumeMounts"]]
    assert sorted(mounts) == sorted(volumes)
    labels = pod["metadata"]["labels"].items()
    headless, http = documents(files["services.yaml"])
    for selector in (
        headless["spec"]["selector"],
        http["spec"]["selector"],
        stateful["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels
    assert headless["spec"]["clusterIP"] == "None"
    assert stateful["spec"]["serviceName"] == headless["metadata"]["name"]
    ports = {port["name"] for port in container(files)["ports"]}
    for service in (headless, http):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_with_tls_the_kubelet_asks_by_https_and_without_it_by_grpc(rendered: ValueSets) -> None:
    plain = container(rendered["default"])
    assert plain["startupProbe"]["grpc"] == plain["livenessProbe"]["grpc"] == {"port": 6000}
    assert plain["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http", "scheme": "HTTP"}
    mutual = container(rendered["tls-cert-manager"])
    assert mutual["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http", "scheme": "HTTPS"}
    assert mutual["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http", "scheme": "HTTPS"}
    half = container(rendered["tls-secret"])
    assert half["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http", "scheme": "HTTP"}


def test_the_certificate_is_for_the_name_that_keda_dials(rendered: ValueSets) -> None:
    (certificate,) = documents(rendered["tls-cert-manager"]["certificate.yaml"])
    assert "foresail.foresail.svc" in certificate["spec"]["dnsNames"]
    monitor = documents(rendered["tls-cert-manager"]["monitoring.yaml"])[0]
    assert monitor["spec"]["endpoints"][0]["tlsConfig"]["serverName"] in certificate["spec"]["dnsNames"]
    volumes = workload(rendered["tls-cert-manager"])["spec"]["template"]["spec"]["volumes"]
    (secret,) = [volume["secret"]["secretName"] for volume in volumes if volume["name"] == "tls"]
    assert secret == certificate["spec"]["secretName"]


def test_a_change_of_the_settings_restarts_the_pods() -> None:
    first, second = manifests.render({}, {"settings": {"refit_every": "3h"}})
    at = "foresail.sh/settings"
    hashes = {workload(files)["spec"]["template"]["metadata"]["annotations"][at] for files in (first, second)}
    assert len(hashes) == 2


def _settings(files: dict[str, str], directory: Path) -> Settings:
    """What a server reads in the rendered settings."""
    (configmap,) = documents(files["configmap.yaml"])
    (directory / "foresail.toml").write_text(configmap["data"]["foresail.toml"])
    return load_settings(path=directory / "foresail.toml", environ={}, overrides={})


def test_fits_have_half_of_the_containers_memory_and_series_a_quarter(tmp_path: Path) -> None:
    limits = {
        "1Gi": (512, 256),
        "1.5Gi": (768, 384),
        "3G": (1430, 715),
        "256Mi": (512, 64),
        "1Ti": (4096, 262144),
        "2147483648": (1024, 512),
    }
    given = [{"resources": {"limits": {"memory": text}}} for text in limits]
    found = [_settings(files, tmp_path) for files in manifests.render(*given)]
    assert [(settings.fit_memory >> 20, settings.memory_limit >> 20) for settings in found] == list(limits.values())
    four, unbounded, chosen = (
        _settings(files, tmp_path)
        for files in manifests.render(
            {"resources": {"limits": {"memory": "8Gi"}}, "settings": {"fit_workers": 4}},
            {"resources": {"limits": None}},
            {"settings": {"fit_memory": 8 << 30, "memory_limit": 3 << 30}},
        )
    )
    assert (four.fit_memory, four.memory_limit) == (1 << 30, 2 << 30)
    assert (unbounded.fit_memory, unbounded.memory_limit) == (4 << 30, 3 << 29)  # the server's own defaults
    assert (chosen.fit_memory, chosen.memory_limit) == (8 << 30, 3 << 30)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, None),
        ({"resources": {"limits": None}}, None),
        (
            {"settings": {"fit_memory": 8 << 30}},
            "the memory limit of 1Gi does not hold what fits may take (8192 MiB of",
        ),
        ({"settings": {"fit_workers": 2}}, "the memory limit of 1Gi does not hold what fits may take (1024 MiB of"),
        ({"resources": {"limits": {"memory": "512Mi"}}}, "the memory limit of 512Mi does not hold"),
    ],
)
def test_the_notes_warn_of_fits_that_could_end_the_container(values: dict[str, Any], said: str | None) -> None:
    request = {"chart": str(manifests.CHART), "name": "foresail", "namespace": "foresail", "values": values}
    (answer,) = manifests.ask({"render": [request]})["render"]
    (notes,) = [text for path, text in answer["files"].items() if path.endswith("NOTES.txt")]
    assert ("WARNING" in notes) == (said is not None)
    assert (said or "") in notes


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"settings": {"fit_memory": 1 << 20}}, "at '/settings/fit_memory': minimum"),
        ({"replica": 2}, "additional properties 'replica' not allowed"),
        ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
        ({"settings": {"grpc_address": "[::]:1"}}, "at '/settings/grpc_address': 'not' failed"),
        ({"tls": {"enabled": True}}, "at '/tls': 'oneOf' failed"),
        ({"persistence": {"size": "2 gigabytes"}}, "at '/persistence/size'"),
        ({"secretMounts": [{"secret": "a"}]}, "missing property 'path'"),
    ],
)
def test_helm_refuses_wrong_values(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        manifests.render(values)


def test_helm_lint_has_nothing_to_say() -> None:
    report = manifests.ask({"lint": str(manifests.CHART)})["lint"]
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


def test_grafanas_own_model_knows_all_of_the_dashboard() -> None:
    given = json.loads((manifests.CHART / "files" / "dashboard.json").read_text())
    wrong = {**given, "panels": [{**given["panels"][1], "titel": "Load"}]}
    assert manifests.ask({"dashboard": given})["dashboard"] == []
    assert manifests.ask({"dashboard": wrong})["dashboard"] == ["there is no field .panels[0].titel"]


def test_the_kustomize_base_is_the_chart() -> None:
    written = {path.name: path.read_text() for path in manifests.BASE.iterdir()}
    assert written == manifests.base(), "run `make manifests`"


def test_kubectl_builds_the_base() -> None:
    done = subprocess.run(["kubectl", "kustomize", str(manifests.BASE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = documents(done.stdout)
    assert manifests.problems(built) == []
    assert {manifest["metadata"]["namespace"] for manifest in built} == {"foresail"}
    (settings,) = [manifest for manifest in built if manifest["kind"] == "ConfigMap"]
    (stateful,) = [manifest for manifest in built if manifest["kind"] == "StatefulSet"]
    names = [volume.get("configMap", {}).get("name") for volume in stateful["spec"]["template"]["spec"]["volumes"]]
    assert settings["metadata"]["name"] in names
