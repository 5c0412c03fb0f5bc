"""Writes the JSON schemas of the custom resources that deploy/ uses; `make deploy-tools` runs it in .venv-deploy.

The models are generated from the projects' own definitions, for a Python newer than Debian's. The files that define the
types run on ours all the same; what stands around them does not, so each is loaded alone.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

KINDS = {
    "keda.sh": ("keda", "v1alpha1", ("ScaledObject", "TriggerAuthentication")),
    "cert-manager.io": ("cert_manager", "v1", ("Certificate",)),
    "monitoring.coreos.com": ("prometheus_operator", "v1", ("ServiceMonitor", "PrometheusRule")),
}


def module(package: str, version: str) -> Any:
    """The file with the types of one version, without its package's own `__init__`."""
    from cloudcoil import models, pydantic  # noqa: PLC0415 - of .venv-deploy, where alone this runs

    if not hasattr(pydantic, "UNSET"):  # a newer cloudcoil has it: the default of arguments that nobody gives here
        pydantic.UNSET = object()
    name = f"{models.__name__}.{package}"
    found = PathFinder.find_spec(name, models.__path__)
    if found is None:
        raise ModuleNotFoundError(f"{name} is missing: run `make deploy-tools`")
    bare = types.ModuleType(name)
    bare.__path__ = found.submodule_search_locations  # type: ignore[assignment]
    sys.modules[name] = bare
    return importlib.import_module(f"{name}.{version}")


def forbid_unknown(schema: Any) -> None:
    """As the API server does for `kubectl apply`: a field that a type does not have is an error."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            forbid_unknown(part)
    elif isinstance(schema, list):
        for part in schema:
            forbid_unknown(part)


def main() -> None:
    """Writes GROUP.KIND.json for each."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for group, (package, version, kinds) in KINDS.items():
        types_of = module(package, version)
        for kind in kinds:
            schema = getattr(types_of, kind).model_json_schema(by_alias=True)
            forbid_unknown(schema)
            (folder / f"{group}.{kind}.json").write_text(json.dumps(schema))


if __name__ == "__main__":
    main()
