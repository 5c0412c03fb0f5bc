"""The commands that the pages give and that the kind scripts run, word by word."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

from tests.support.manifests import CHART, DEPLOY, ROOT

__all__ = ["PAGES", "of_page", "of_script", "within_text"]

PAGES = sorted(
    path.relative_to(ROOT)
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "tests" / "data").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        CHART / "templates" / "NOTES.txt",
    ]
)
_PROGRAMS = "foresail|make|helm|kubectl|docker"


def of_page(page: str) -> list[list[str]]:
    """The command lines of a page's shell blocks, and of those that are indented."""
    page = re.sub(r"\\\n\s*", " ", page)
    blocks = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(rf"^ {{2,4}}((?:{_PROGRAMS}) .+)$", page, flags=re.MULTILINE)
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def within_text(page: str) -> list[list[str]]:
    """Those between backticks."""
    return [shlex.split(line) for line in re.findall(rf"`((?:{_PROGRAMS}) [^`\n]+)`", page)]


def of_script(name: str) -> list[list[str]]:
    """The commands that a script of deploy/kind would run, of programs that are not even there."""
    environ = {"DRY_RUN": "1", "PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        [str(DEPLOY / "kind" / name)], capture_output=True, text=True, check=False, env=environ, cwd="/", timeout=30
    )
    assert done.returncode == 0, done.stderr
    return [shlex.split(line[2:]) for line in done.stderr.splitlines() if line.startswith("+ ")]
