"""The pages: links lead somewhere, commands are those that there are, files named in them exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from scaler.cli.main import command_parser, main_parser
from tests.support.manifests import ROOT

PAGES = sorted(
    path.relative_to(ROOT)
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "tests" / "data").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
    ]
)
COMMANDS = set(re.findall(r"^  (\w+)  ", main_parser().format_help().partition("commands:")[2], flags=re.MULTILINE))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def text(page: Path) -> str:
    return (ROOT / page).read_text()


def anchors(page: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: str) -> list[list[str]]:
    """The command lines of the page's shell blocks, and of those that are indented, word by word."""
    page = re.sub(r"\\\n\s*", " ", page)
    blocks = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"^ {4}((?:foresail|make|helm|kubectl|docker) .+)$", page, flags=re.MULTILINE)
    return [words for line in lines if (words := shlex.split(line, comments=True))]


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
    for words in commands(text(page)):
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
    filled = ["1" if re.fullmatch(r"[A-Z]", word) else word for word in words[2:]]
    try:
        command_parser(words[1]).read(filled)
    except SystemExit as error:
        assert error.code == 0, words  # noqa: PT017 - argparse ends by it; what it did not like is in the message


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_within_the_text_name_what_there_is(page: Path) -> None:
    for line in re.findall(r"`((?:foresail|make) [^`\n]+)`", text(page)):
        program, name, *rest = line.split()
        if program == "make":
            assert name in TARGETS, f"{page}: {line}"
        elif not name.startswith("-"):
            assert name in COMMANDS or name == "COMMAND", f"{page}: {line}"
            options = {re.split(r"[=,.;)]", word)[0] for word in rest if word.startswith("--")}
            known = set() if name == "COMMAND" else set(command_parser(name)._option_string_actions)
            assert options <= known | {"--help"}, f"{page}: {line}"
