"""What is in deploy/: rendered by Helm, judged by the schemas; see tests/deploy/tool.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "foresail"
BASE = DEPLOY / "kustomize" / "base"
TOOLS = ROOT / ".venv-deploy" / "bin"
VERSIONS = ("1.27", "1.32", "1.37")  # of Kubernetes: the oldest that the chart takes, one between, the newest known
_HEAD = "# rendered from the chart by `make manifests`; do not edit\n"


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """The tool's answer."""
    python = TOOLS / "python"
    if not python.exists():
        raise FileNotFoundError(f"{python} is missing: run `make deploy-tools`")
    done = subprocess.run(
        [str(python), str(ROOT / "tests" / "deploy" / "tool.py")],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def render(
    *value_sets: dict[str, Any], name: str = "foresail", namespace: str = "foresail", chart: Path = CHART
) -> list[dict[str, str]]:
    """The chart's rendered files by template, for each set of values.

    Raises:
        ValueError: Helm refuses one; its text.
    """
    one = {"chart": str(chart), "name": name, "namespace": namespace}
    rendered = ask({"render": [{**one, "values": values} for values in value_sets]})["render"]
    for result in rendered:
        if "error" in result:
            raise ValueError(result["error"])
    return [
        {path.rpartition("/")[2]: text for path, text in result["files"].items() if not path.endswith(".txt")}
        for result in rendered
    ]


def documents(text: str) -> list[Manifest]:
    """The manifests in a YAML text."""
    return [document for document in yaml.safe_load_all(text) if document]


def problems(manifests: list[Manifest], *, versions: tuple[str, ...] = VERSIONS) -> list[str]:
    """What the schemas have against these manifests, in any of the versions of Kubernetes."""
    asked: list[dict[str, Any]] = [
        {"version": version, "manifest": manifest} for version in versions for manifest in manifests
    ]
    answers = ask({"validate": asked})["validate"]
    return [
        f"{one['manifest'].get('kind')} {one['manifest'].get('metadata', {}).get('name')} in {one['version']}: {text}"
        for one, text in zip(asked, answers, strict=True)
        if text
    ]


def base() -> dict[str, str]:
    """The files of the kustomize base: the chart with its own values, and without Helm's traces.

    The settings become a generated ConfigMap: its name changes with them, which restarts the pods.
    """
    (files,) = render({})
    (settings,) = documents(files.pop("configmap.yaml"))
    kept: dict[str, str] = {}
    for path, text in files.items():
        manifests = documents(text)
        for manifest in manifests:
            _without_helm(manifest)
        if manifests:
            kept[path] = _HEAD + yaml.safe_dump_all(manifests, sort_keys=False, width=120)
    kept["kustomization.yaml"] = _HEAD + yaml.safe_dump(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": "foresail",
            "resources": sorted(kept),
            "configMapGenerator": [{"name": settings["metadata"]["name"], "files": sorted(settings["data"])}],
        },
        sort_keys=False,
    )
    files_of_settings: dict[str, str] = settings["data"]
    return kept | files_of_settings


def _without_helm(node: Any) -> None:
    """Takes Helm's labels away, and the namespace, which the kustomization sets."""
    if isinstance(node, dict):
        for key in ("app.kubernetes.io/managed-by", "helm.sh/chart", "foresail.sh/settings"):
            node.pop(key, None)
        metadata = node.get("metadata")
        if isinstance(metadata, dict):
            metadata.pop("namespace", None)
        for value in node.values():
            _without_helm(value)
        if node.get("annotations") == {}:
            del node["annotations"]
    elif isinstance(node, list):
        for item in node:
            _without_helm(item)


def main() -> None:
    """Writes the base."""
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.support.manifests --write")
    BASE.mkdir(parents=True, exist_ok=True)
    for old in BASE.iterdir():
        old.unlink()
    for path, text in base().items():
        (BASE / path).write_text(text)


if __name__ == "__main__":
    main()
