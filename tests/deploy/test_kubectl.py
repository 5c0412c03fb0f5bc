"""What the real kubectl says of everything in deploy/ and of the commands in the pages, without a cluster.

`kubectl apply --dry-run=client` asks an API server which types there are, and whether the object is there. A stand-in
answers that, and nothing else: types by name, and that nothing is there. What the types hold is judged by the schemas.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.commands import PAGES, of_page, of_script, within_text
from tests.support.manifests import BASE, DEPLOY, ROOT, documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# the plural of each type, and whether it lives in a namespace
TYPES = {
    "v1": {
        "Namespace": ("namespaces", False),
        "ConfigMap": ("configmaps", True),
        "Service": ("services", True),
        "ServiceAccount": ("serviceaccounts", True),
    },
    "apps/v1": {"Deployment": ("deployments", True), "StatefulSet": ("statefulsets", True)},
    "policy/v1": {"PodDisruptionBudget": ("poddisruptionbudgets", True)},
    "networking.k8s.io/v1": {"NetworkPolicy": ("networkpolicies", True)},
    "rbac.authorization.k8s.io/v1": {
        "ClusterRole": ("clusterroles", False),
        "ClusterRoleBinding": ("clusterrolebindings", False),
    },
    "keda.sh/v1alpha1": {
        "ScaledObject": ("scaledobjects", True),
        "TriggerAuthentication": ("triggerauthentications", True),
    },
    "cert-manager.io/v1": {"Certificate": ("certificates", True)},
    "monitoring.coreos.com/v1": {
        "ServiceMonitor": ("servicemonitors", True),
        "PrometheusRule": ("prometheusrules", True),
    },
}


def discovery() -> dict[str, dict[str, Any]]:
    """An API server's answers about its types, by path."""
    groups = [
        {"name": group.split("/")[0], "versions": [{"groupVersion": group, "version": group.split("/")[1]}]}
        for group in TYPES
        if "/" in group
    ]
    found: dict[str, dict[str, Any]] = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
    }
    for group, kinds in TYPES.items():
        found[f"/apis/{group}" if "/" in group else f"/api/{group}"] = {
            "kind": "APIResourceList",
            "groupVersion": group,
            "resources": [
                {"name": plural, "kind": kind, "namespaced": namespaced, "verbs": ["create", "get", "patch"]}
                for kind, (plural, namespaced) in kinds.items()
            ],
        }
    return found


class Types(BaseHTTPRequestHandler):
    """Tells the types; anything else is not found."""

    answers = discovery()

    def do_GET(self) -> None:
        answer = self.answers.get(self.path.partition("?")[0])
        missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        body = json.dumps(missing if answer is None else answer).encode()
        self.send_response(404 if answer is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Quiet: a test says what went wrong."""


@pytest.fixture(scope="module")
def api_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Types) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def kubectl(*words: str, home: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": "/dev/null"}
    return subprocess.run(
        ["kubectl", *words], input=text, capture_output=True, text=True, check=False, env=environ, cwd=ROOT, timeout=60
    )


def dry_run(api_server: str, home: Path, *what: str, text: str = "") -> list[str]:
    """The objects that kubectl would make, as KIND/NAME."""
    done = kubectl("--server", api_server, "apply", "--dry-run=client", "--validate=false", *what, home=home, text=text)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(line.endswith(" created (dry run)") for line in lines), lines
    return [line.split()[0] for line in lines]


def test_it_would_apply_the_base_the_examples_and_what_kind_gets(api_server: str, tmp_path: Path) -> None:
    assert "statefulset.apps/foresail" in dry_run(api_server, tmp_path, "--kustomize", str(BASE))
    files = [
        *sorted((DEPLOY / "examples").glob("*.yaml")),
        DEPLOY / "kind/monitoring.yaml",
        DEPLOY / "kind/workload.yaml",
    ]
    objects = [one for path in files for one in documents(path.read_text())]
    given = [word for path in files for word in ("--filename", str(path))]
    assert len(dry_run(api_server, tmp_path, *given)) == len(objects)


def test_it_would_apply_what_helm_renders(api_server: str, tmp_path: Path, rendered: dict[str, dict[str, str]]) -> None:
    for files in rendered.values():
        objects = [one for text in files.values() for one in documents(text)]
        assert len(dry_run(api_server, tmp_path, "--filename", "-", text=yaml.safe_dump_all(objects))) == len(objects)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"apiVersion": "apps/v1", "kind": "StatefullSet", "metadata": {"name": "a"}}, 'no matches for kind "Stateful'),
        ({"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"}}, "no matches for"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {}}, "resource name may not be empty"),
    ],
)
def test_it_refuses_what_no_cluster_would_take(
    api_server: str, tmp_path: Path, wrong: dict[str, Any], why: str
) -> None:
    options = ("--server", api_server, "apply", "--dry-run=client", "--validate=false", "--filename", "-")
    done = kubectl(*options, home=tmp_path, text=yaml.safe_dump(wrong))
    assert done.returncode == 1
    assert why in done.stderr


def commands() -> list[list[str]]:
    """Every kubectl command of the pages, the chart's notes, the kind scripts."""
    pages = [re.sub(r"\{\{.*?\}\}", "x", (ROOT / page).read_text()) for page in PAGES]
    found = [words for page in pages for words in of_page(page) + within_text(page)]
    found += [words for script in ("up.sh", "demo.sh") for words in of_script(script)]
    return [words for words in found if words[0] == "kubectl"]


def test_kubectl_knows_every_command_that_the_pages_and_scripts_give(tmp_path: Path) -> None:
    given = {tuple(words[1:]) for words in commands()}
    assert len(given) >= 15
    for words in given:
        own = words[: words.index("--")] if "--" in words else words  # behind it stands what runs in the container
        done = kubectl(*own, "--help", home=tmp_path)  # options and names of commands are read before it
        assert done.returncode == 0, (words, done.stderr)
        assert "Usage:" in done.stdout, words
