"""docs/keda-contract.md names tests: each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "keda-contract.md").read_text())


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_is_there(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert test in functions


def test_every_rule_names_a_test() -> None:
    rows = [line for line in (ROOT / "docs" / "keda-contract.md").read_text().splitlines() if line.startswith("| ")]
    rules = [row for row in rows if not row.startswith("| rule ")]
    assert len(rules) >= 18
    assert all("::test_" in row.rpartition("|")[0].rpartition("|")[2] for row in rules)
