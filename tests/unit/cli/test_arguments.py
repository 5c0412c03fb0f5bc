"""Values on the command line are read as in metadata and settings, and refused in the same words."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from scaler.cli.arguments import duration_argument, listed, moment, output_file, typed, writing
from scaler.errors import InvalidSettings
from scaler.kinds import integer


def test_values_are_read_as_everywhere() -> None:
    assert duration_argument(" 1h30m ") == 5400.0
    assert typed(integer(minimum=1, maximum=9))("7") == 7
    assert listed(integer(minimum=1, maximum=9))("7,8, 9") == (7, 8, 9)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1767225600", 1767225600.0), ("2026-01-01T00:00:00Z", 1767225600.0), ("2026-01-01", 1767225600.0)],
)
def test_moments(text: str, seconds: float) -> None:
    assert moment(text) == seconds


def test_refusals_show_the_value_and_what_would_be_right() -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        duration_argument("soon")
    assert str(refused.value) == '"soon": it must be a duration, such as 90s, 5m, 1h30m or 7d'
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        listed(integer(minimum=1, maximum=9))("7,70")
    assert str(refused.value) == '"70": it must be a whole number from 1 to 9'


@pytest.mark.parametrize("text", ["yesterday", "nan", "inf", ""])
def test_a_text_that_is_no_moment(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        moment(text)
    assert str(refused.value) == (
        f'"{text}": it must be epoch seconds or ISO 8601, such as 1767225600 or 2026-01-01T00:00:00Z'
    )


def test_a_file_to_write_is_looked_at_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # short paths are shown whole
    (tmp_path / "folder").mkdir()
    path = Path("page.html")
    assert output_file(str(path)) == path
    assert not path.exists()
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        output_file("folder")
    assert str(raised.value) == '"folder": it is a folder; it must be a file'
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        output_file("pages/page.html")
    assert str(raised.value) == '"pages/page.html": there is no folder "pages"'
    monkeypatch.setattr("os.access", lambda asked, mode: (asked, mode) != (Path(), os.W_OK))  # root may do anything
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        output_file(str(path))
    assert str(raised.value) == f'"{path}": it may not be written by this user'
    path.touch()
    assert output_file(str(path)) == path


def test_a_file_that_cannot_be_written_is_told_with_its_option() -> None:
    with pytest.raises(InvalidSettings) as raised, writing("--html", Path("/proc/page.html")):
        pass
    assert str(raised.value) == "settings: --html /proc/page.html cannot be written: No such file or directory"
    with pytest.raises(InvalidSettings) as raised, writing("--forecasts", Path("/dev/full")) as file:
        file.write("a,b\n")
    assert str(raised.value) == "settings: --forecasts /dev/full cannot be written: No space left on device"
