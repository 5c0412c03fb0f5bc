"""What the image installs: every dependency that is declared, at a version that is allowed, each file by its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "deploy" / "image" / "requirements.lock"


def locked() -> dict[str, list[tuple[str, int]]]:
    """Package -> its pins (several, where they differ by Python version): version and number of hashes."""
    found: dict[str, list[tuple[str, int]]] = {}
    entries = re.findall(
        r"^([a-z0-9-]+)==(\S+)([^\n]*\n(?:    --hash=sha256:[0-9a-f]{64}.*\n)*)", LOCK.read_text(), re.MULTILINE
    )
    for name, version, rest in entries:
        found.setdefault(name, []).append((version, rest.count("--hash=sha256:")))
    return found


def test_every_declared_dependency_is_pinned_within_its_bounds() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pins = locked()
    for requirement in map(Requirement, declared):
        versions = [version for version, _ in pins.get(canonicalize_name(requirement.name), [])]
        assert versions, f"{requirement.name} is not in {LOCK.name}: run make lock"
        assert all(version in requirement.specifier for version in versions), (
            f"{requirement}: {versions}: run make lock"
        )


def test_nothing_is_pinned_without_hashes_and_nothing_stands_there_unpinned() -> None:
    lines = [line for line in LOCK.read_text().splitlines() if line and not line.startswith(("#", " "))]
    pins = locked()
    assert len(lines) == sum(map(len, pins.values()))
    assert all(hashes for versions in pins.values() for _, hashes in versions)
