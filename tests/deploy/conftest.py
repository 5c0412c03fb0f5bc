"""What the tests of deploy/ share: the chart, rendered once for all sets of values."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.support import manifests

ValueSets = dict[str, dict[str, str]]


def _value_sets() -> dict[str, dict[str, Any]]:
    files = sorted((manifests.CHART / "ci").glob("*-values.yaml"))
    return {"default": {}} | {
        path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text()) for path in files
    }


@pytest.fixture(scope="session")
def rendered() -> ValueSets:
    """Files by template, for each set of values in the chart's ci folder and for its own."""
    sets = _value_sets()
    return dict(zip(sets, manifests.render(*sets.values()), strict=True))
