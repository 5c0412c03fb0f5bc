"""The pages: links lead somewhere, commands are those that there are, files named in them exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scaler.cli.main import command_parser, main_parser
from scaler.replay.behavior import parse_behavior, recommended_behavior
from scaler.settings import load_settings
from scaler.trigger import parse_trigger
from tests.support import commands, manifests
from tests.support.commands import PAGES
from tests.support.manifests import ROOT

COMMANDS = set(re.findall(r"^  (\w+)  ", main_parser().format_help().partition("commands:")[2], flags=re.MULTILINE))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def text(page: Path) -> str:
    return (ROOT / page).read_text()


def anchors(page: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), f"{page}: {target}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there.read_text()), f"{page}: {target}"


def test_every_page_is_in_the_index() -> None:
    index = set(re.findall(r"\]\(([^)#\s]+)\)", text(Path("docs/README.md"))))
    pages = {str(page.relative_to("docs")) for page in PAGES if page.parts[0] == "docs"}
    own = {page for page in pages if not page.startswith(("adr/0", "README"))}
    assert own <= index


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_commands_in_shell_blocks_are_read_by_the_real_parsers(page: Path) -> None:
    for given in commands.of_page(text(page)):
        words = given[given.index("--") + 1 :] if given[:2] == ["kubectl", "exec"] else given
        if words[0] == "make":
            assert [word for word in words[1:] if "=" not in word and word not in TARGETS] == [], words
        elif words[0] == "foresail" and words[1:2] != ["--help"]:
            assert words[1] in COMMANDS, words
            _read(words)
        for word in words:
            if word.startswith(("deploy/", "docs/", "tests/")):
                assert (ROOT / word).exists(), words


def _read(words: list[str]) -> None:
    """The command's own parser takes the words; capitals stand for what the reader fills in."""
    filled = ["1" if re.fullmatch(r"[A-Z]", word) else word.replace("NAMESPACE/NAME", "shop/web") for word in words[2:]]
    try:
        command_parser(words[1]).read(filled)
    except SystemExit as error:
        assert error.code == 0, words  # noqa: PT017 - argparse ends by it; what it did not like is in the message


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_within_the_text_name_what_there_is(page: Path) -> None:
    for program, name, *rest in commands.within_text(text(page)):
        line = " ".join((program, name, *rest))
        if program == "make":
            assert name in TARGETS, f"{page}: {line}"
        elif program == "foresail" and not name.startswith("-"):
            assert name in COMMANDS or name == "COMMAND", f"{page}: {line}"
            options = {re.split(r"[=,.;)]", word)[0] for word in rest if word.startswith("--")}
            known = set() if name == "COMMAND" else set(command_parser(name)._option_string_actions)
            assert options <= known | {"--help"}, f"{page}: {line}"


def test_what_helm_is_told_in_the_pages_it_takes() -> None:
    told = [words for page in PAGES for words in commands.of_page(text(page)) if words[:2] == ["helm", "install"]]
    assert len(told) == 3
    values = [word for words in told for word in words if "image.repository=" in word]
    assert values == ["image.repository=registry.example.com/foresail"] * 2
    (files,) = manifests.render({"image": {"repository": "registry.example.com/foresail"}})
    assert "image: registry.example.com/foresail:0.1.0" in files["statefulset.yaml"]
    assert [ROOT / words[3] for words in told] == [manifests.CHART] * 3


def _blocks(language: str) -> list[tuple[Path, str]]:
    return [
        (page, block)
        for page in PAGES
        for block in re.findall(rf"```{language}\n(.*?)```", text(page), flags=re.DOTALL)
        if "[project." not in block  # a package's, not ours
    ]


def _part(name: str) -> list[dict[str, Any]]:
    """What the YAML blocks of all pages hold that have this key: ScaledObjects, triggers, or the chart's values."""
    read = [yaml.safe_load(block) for _, block in _blocks("yaml")]
    return [one for one in read if name in one]


def test_manifests_in_the_pages_pass_the_schemas_and_give_what_is_recommended() -> None:
    objects = _part("kind")
    assert manifests.problems(objects, versions=("1.37",)) == []
    (page,) = objects
    behavior = page["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert parse_behavior(behavior) == recommended_behavior()


def test_triggers_in_the_pages_are_taken_by_our_server() -> None:
    found = [one["spec"] for one in _part("kind")] + _part("triggers")
    read = [
        parse_trigger(namespace="shop", name="web", metadata=trigger["metadata"])
        for spec in found
        for trigger in spec["triggers"]
    ]
    assert len(read) == 5


def test_values_in_the_pages_are_taken_by_helm() -> None:
    values = [one for one in _part("settings") if "triggers" not in one]
    assert len(manifests.render(*values)) == 2


def test_settings_in_the_pages_are_taken_by_the_server(tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key", "ca.crt", "shop-token"):
        (tmp_path / name).write_text("a-token-of-sixteen-characters-or-more")
    blocks = [block for _, block in _blocks("toml")]
    assert len(blocks) == 3
    for block in blocks:
        file = tmp_path / "foresail.toml"
        file.write_text(re.sub(r"/(?:etc/foresail/tls|var/run/secrets/foresail)(?=/)", str(tmp_path), block))
        environ = {"OPS_TOKEN": "another-token-of-sixteen-characters"}
        load_settings(path=file, environ=environ, overrides={})
