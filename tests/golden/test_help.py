"""What `--help` prints, 100 columns wide, is what the reference page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scaler.cli.main import COMMANDS, main

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def golden() -> dict[str, str]:
    """Command, "" for none -> the help text on the page."""
    texts = re.findall(r"(?ms)^```text\n(usage: foresail (\w+) .*?)^```$", PAGE.read_text(encoding="utf-8"))
    return {"" if name == "COMMAND" else name: text for text, name in texts}


def test_the_page_has_every_command() -> None:
    assert list(golden()) == ["", *COMMANDS]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    # whoever reads it has these set, which must not show
    monkeypatch.setenv("FORESAIL_CONFIG", "/etc/foresail.toml")
    monkeypatch.setenv("FORESAIL_SERVER", "http://elsewhere:8080")
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"] if name else ["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == golden()[name]
