"""The Dockerfile, as far as it can be judged without building it; `make image-proof` builds it."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

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


DIGEST = "sha256:" + "ab" * 32
INSPECTED = f"Name:      {{}}\nMediaType: application/vnd.oci.image.index.v1+json\nDigest:    {DIGEST}\n\nManifests:\n"


def built(directory: Path, *, told: str, base: str = "") -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
    """Runs docker.sh with a docker that tells this of the base image; the commands that it was given."""
    docker, log = directory / "docker", directory / "log"
    log.write_text("")
    docker.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" >>{log}\ncase "$*" in *imagetools*) printf %b {shlex.quote(told)} ;; esac\n'
    )
    docker.chmod(0o755)
    environ = {"PATH": f"{directory}:/usr/bin:/bin", "BASE": base}
    script = [str(DEPLOY / "image" / "docker.sh"), "foresail:test"]
    done = subprocess.run(script, capture_output=True, text=True, check=False, env=environ, timeout=30)
    return done, [shlex.split(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("base", ["", "python:3.11-slim-bookworm@" + DIGEST])
def test_the_base_image_is_taken_by_its_digest_and_named(tmp_path: Path, base: str) -> None:
    done, commands = built(tmp_path, told=INSPECTED, base=base)
    assert done.returncode == 0, done.stderr
    *asked, build = commands
    assert asked == ([] if base else [["buildx", "imagetools", "inspect", "python:3.11-slim-bookworm"]])
    assert f"BASE=python:3.11-slim-bookworm@{DIGEST}" in build
    assert "org.opencontainers.image.base.name=python:3.11-slim-bookworm" in build
    assert f"org.opencontainers.image.base.digest={DIGEST}" in build
    assert DOCKERFILE.samefile(ROOT / build[build.index("--file") + 1])


def test_without_a_digest_nothing_is_built(tmp_path: Path) -> None:
    done, commands = built(tmp_path, told="")
    assert done.returncode == 1
    assert done.stderr == "image: the registry told no digest of python:3.11-slim-bookworm\n"
    assert [command[:2] for command in commands] == [["buildx", "imagetools"]]


def test_nothing_but_the_base_image_is_fetched_from_a_registry() -> None:
    assert "# syntax=" not in DOCKERFILE.read_text()  # it would fetch a frontend, by a tag that moves
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert bases == ["${BASE}", "${BASE}"]
