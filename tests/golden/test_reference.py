"""The committed reference pages and the example settings are what the declarations say."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from forecasting.registry import BUILT_IN
from scaler.reference import main, pages
from scaler.settings import SCHEMA, Settings, load_settings
from scaler.source_settings import SOURCE_SCHEMA
from scaler.trigger.parse import SCHEMA as TRIGGER

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "foresail.example.toml"


@pytest.mark.parametrize("name", sorted(pages()))
def test_what_is_committed_is_what_is_rendered(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == pages()[name]


def test_every_parameter_is_on_its_page() -> None:
    page = pages()["docs/reference/trigger-metadata.md"]
    for p in TRIGGER.parameters:
        assert f"| `{p.name}" in page
        assert all(f"or `{alias}`" in page for alias in p.aliases)
    page = pages()["docs/reference/settings.md"]
    assert all(f"| `{p.name}` |" in page for p in (*SCHEMA.parameters, *SOURCE_SCHEMA.parameters))


def test_every_forecaster_and_its_parameters_are_on_their_page() -> None:
    page = pages()["docs/reference/forecasters.md"]
    for factory in BUILT_IN:
        section = page.partition(f"\n## {factory.name}\n")[2].partition("\n## ")[0]
        assert section
        for field in dataclasses.fields(factory):  # type: ignore[arg-type]  # the registry takes nothing else
            assert f"| `{field.name}` |" in section


def test_the_example_is_valid_and_all_defaults() -> None:
    loaded = load_settings(path=EXAMPLE, environ={}, overrides={})
    assert {p.field: getattr(loaded, p.field) for p in SCHEMA.parameters} == SCHEMA.defaults
    assert list(loaded.sources) == ["main"]


def test_the_example_shows_every_key() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert set(tomllib.loads(text)) == {p.name for p in SCHEMA.parameters} | {"sources"}
    shown = set(re.findall(r"(?m)^(?:# )?([a-z_]+) = ", text.partition("[sources.main]")[2]))
    suffixes = {p.name: ("_file", "_env") if p.secret else ("",) for p in SOURCE_SCHEMA.parameters}
    missing = [name for name, ends in suffixes.items() if not shown & {name + end for end in ends}]
    assert not missing


def test_the_settings_declare_nothing_but_parameters_and_tables() -> None:
    assert {p.field for p in SCHEMA.parameters} == set(Settings.__slots__) - {"sources", "events", "tenants", "readers"}


def test_the_command_writes_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{name} is not what the declarations say; run: python -m scaler.reference --write" for name in pages()
    ]
    assert main(["--write", "--root", str(tmp_path)]) == 0
    assert main(["--check", "--root", str(tmp_path)]) == 0
