"""docs/faults.md names tests and lanes: each of them is there, and each lane has its row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.faults import FAILING, HARMLESS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
ROWS = [row for row in PAGE.splitlines() if row.startswith("| ") and not row.startswith("| fault |")]
LANES = {fault.name for fault in (*FAILING, *HARMLESS)}


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_is_there(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert test in functions


@pytest.mark.parametrize("lane", sorted(LANES))
def test_a_fault_has_its_row(lane: str) -> None:
    assert f"`{lane}`" in PAGE


def test_every_row_says_what_shows_it() -> None:
    unproven = [row for row in ROWS if not (re.search(r"::test_|the same test", row) or _lanes(row))]
    assert not unproven
    assert len(ROWS) >= 30


def _lanes(row: str) -> bool:
    told = re.search(r"lanes? ((?:`[a-z-]+`(?:, | and )?)+)", row)
    return told is not None and set(re.findall(r"`([a-z-]+)`", told[1])) <= LANES
