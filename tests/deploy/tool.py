"""Helm and the schemas of Kubernetes, KEDA, cert-manager, the Prometheus operator and Grafana, in their own place.

They are large, and one of them brings a pytest plug-in that we do not want: `make deploy-tools` puts them into
.venv-deploy, whose Python runs this file. It reads a request from standard input and answers on standard output, both
JSON: `{"render": [{"chart", "name", "namespace", "values"}]}`, `{"validate": [{"version", "manifest"}]}`, and the like.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]

SCHEMAS = Path(sys.prefix) / "schemas"


def render(request: dict[str, Any]) -> dict[str, Any]:
    """The rendered templates by path, or why Helm refuses."""
    import helm_python as helm  # noqa: PLC0415 - a Go run time of 80 MB, not needed to validate

    chart = helm.Chart.load(request["chart"])
    try:
        chart.validate_schema(request["values"])
        files = chart.render(request["values"], name=request["name"], namespace=request["namespace"])
    except helm.HelmError as error:
        return {"error": str(error)}
    return {"files": files}


def lint(chart: str) -> dict[str, Any]:
    """What `helm lint` says."""
    import helm_python as helm  # noqa: PLC0415 - as above

    report: dict[str, Any] = helm.lint(chart)
    return report


def dashboard(given: dict[str, Any]) -> list[str]:
    """What Grafana's own model of a dashboard does not know of this one."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415 - as above
    from grafana_foundation_sdk.cog.plugins import register_default_plugins  # noqa: PLC0415 - as above
    from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415 - as above

    register_default_plugins()
    return _lost(given, json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(given))), "")


def validate(request: dict[str, Any]) -> str:
    """What is wrong with a manifest, or an empty text."""
    manifest = request["manifest"]
    group = manifest.get("apiVersion", "").partition("/")[0]
    schema = SCHEMAS / f"{group}.{manifest.get('kind', '')}.json"
    return _custom(manifest, schema) if schema.exists() else _kubernetes(manifest, request["version"])


def _kubernetes(manifest: Manifest, version: str) -> str:
    from kubernetes_validate import utils  # noqa: PLC0415 - as above

    # it reads megabytes of definitions for every manifest
    utils.schema_contents = _cached(utils.schema_contents)
    try:
        utils.validate(manifest, version, strict=True)
    except (utils.ValidationError, utils.SchemaNotFoundError) as error:
        return str(error.message)
    return ""


@functools.cache
def _cached(read: Any) -> Any:
    return read if hasattr(read, "cache_info") else functools.cache(read)


def _custom(manifest: Manifest, schema: Path) -> str:
    """By the custom resource's own definition, which tests/deploy/schemas.py has written."""
    import jsonschema  # noqa: PLC0415 - as above

    errors = jsonschema.Draft202012Validator(_read(schema)).iter_errors(manifest)
    # an optional field may be of its type or null: what is told is why it is not of its type
    found = [jsonschema.exceptions.best_match([error]) for error in errors]
    return "; ".join(f"{error.json_path}: {error.message}" for error in found)


@functools.cache
def _read(schema: Path) -> Any:
    return json.loads(schema.read_text())


def _lost(given: Any, kept: Any, path: str) -> list[str]:
    if isinstance(given, dict):
        kept = kept if isinstance(kept, dict) else {}
        return [
            text
            for key, value in given.items()
            for text in (
                _lost(value, kept[key], f"{path}.{key}") if key in kept else [f"there is no field {path}.{key}"]
            )
        ]
    if isinstance(given, list):
        return [text for n, item in enumerate(given) for text in _lost(item, kept[n], f"{path}[{n}]")]
    return []


def main() -> None:
    """Answers one request."""
    request = json.load(sys.stdin)
    answer: dict[str, Any] = {}
    if "render" in request:
        answer["render"] = [render(one) for one in request["render"]]
    if "lint" in request:
        answer["lint"] = lint(request["lint"])
    if "dashboard" in request:
        answer["dashboard"] = dashboard(request["dashboard"])
    if "validate" in request:
        answer["validate"] = [validate(one) for one in request["validate"]]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
