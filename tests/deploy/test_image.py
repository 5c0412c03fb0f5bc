"""The Dockerfile, as far as it can be judged without building it; `make image-proof` builds it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests.support.manifests import DEPLOY, ROOT, TOOLS

if TYPE_CHECKING:
    from pathlib import Path

DOCKERFILE = DEPLOY / "image" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest) for line in text.splitlines() if line.strip() for word, _, rest in [line.partition(" ")]]


def scripts() -> list[Path]:
    return [
        path
        for path in sorted([*DEPLOY.rglob("*"), *(ROOT / ".ci").iterdir()])
        if path.is_file() and path.read_bytes().startswith((b"#!/bin/sh", b"#!/usr/bin/env bash"))
    ]


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([str(TOOLS / "hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_shellcheck_has_nothing_to_say() -> None:
    paths = [str(path) for path in scripts()]
    assert str(DEPLOY / "image" / "build.sh") in paths
    done = subprocess.run(
        [str(TOOLS / "shellcheck"), "-x", *paths], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    sources = [source for group in copied for source in group]
    assert set(sources) == kept
    assert all((ROOT / source).exists() for source in sources)


def test_it_needs_no_shell_no_root_and_knows_the_ports_that_are_listened_on() -> None:
    final = instructions()[[n for n, (word, _) in enumerate(instructions()) if word == "FROM"][-1] :]
    given = dict(final)
    assert given["USER"] == "65532:65532"
    assert given["ENTRYPOINT"] == '["/opt/foresail/bin/foresail"]'
    assert given["CMD"] == '["serve"]'
    assert given["EXPOSE"] == "6000 8080"
    assert "RUN" not in given  # the second stage holds what was copied: nothing depends on when it is built
