"""Secrets in files that are replaced, as Kubernetes replaces those of a mounted Secret."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from scaler.followed import Followed
from scaler.kinds import Unreadable
from scaler.secret_settings import secret_in
from scaler.telemetry.log import setup_logging
from tests.support.mounted import Mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass
class Bench:
    """Two secrets that are used together."""

    volume: Mounted
    now: float = 0.0
    made: list[dict[str, str]] = field(default_factory=list)

    def make(self, texts: Mapping[str, str]) -> str:
        self.made.append(dict(texts))
        if texts["user"] == "nobody":
            raise Unreadable("nobody is not a user")
        return f"{texts['user']}:{texts['password']}"

    def follow(self) -> Followed[str]:
        files = {name: str(self.volume.root / name) for name in ("user", "password")}
        return Followed(files, "ada:first-word", make=self.make, owner="source 'main'", monotonic=lambda: self.now)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    volume = Mounted(tmp_path)
    volume.put(user="ada", password="first-word")
    return Bench(volume)


def test_what_was_replaced_is_in_force_within_ten_seconds(bench: Bench) -> None:
    followed = bench.follow()
    assert followed.current() == "ada:first-word"
    bench.volume.put(user="bob", password="second-word")
    bench.now = 9.0
    assert followed.current() == "ada:first-word"
    bench.now = 10.0
    assert followed.current() == "bob:second-word"
    assert "second" not in repr(followed)


def test_files_that_did_not_change_are_not_read_again(bench: Bench) -> None:
    followed = bench.follow()
    for bench.now in (0.0, 10.0, 20.0):
        followed.current()
    assert len(bench.made) == 1


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (lambda volume: (volume.root / "user").unlink(), "cannot be read: No such file or directory"),
        (lambda volume: volume.put(user="", password="third-word"), "the file must hold 1 to 65536 bytes"),
        (lambda volume: volume.put(user="nobody", password="third-word"), "nobody is not a user"),
    ],
)
def test_while_the_files_are_no_good_the_last_secret_is_used_on(
    bench: Bench, capsys: pytest.CaptureFixture[str], break_it: Callable[[Mounted], Any], why: str
) -> None:
    setup_logging(level="info", log_format="json")
    followed = bench.follow()
    followed.current()
    break_it(bench.volume)
    for bench.now in (10.0, 20.0):
        assert followed.current() == "ada:first-word"
    (line,) = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    root = bench.volume.root
    assert (line["event"], line["owner"], line["reason"]) == ("secret.not_renewed", "source 'main'", why)
    assert line["files"] == f"{root / 'user'}, {root / 'password'}"
    bench.volume.put(user="bob", password="fourth-word")
    bench.now = 30.0
    assert followed.current() == "bob:fourth-word"
    (line,) = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert (line["event"], line["owner"]) == ("secret.renewed", "source 'main'")


def test_secrets_caught_half_replaced_wait_for_the_next_look(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = bench.follow()
    followed.current()
    bench.volume.put(user="bob", password="second-word")

    def swapped_meanwhile(path: Path) -> str:
        text = secret_in(path)
        if path.name == "user" and text == "bob":
            bench.volume.put(user="eve", password="third-word")
        return text

    monkeypatch.setattr("scaler.followed.secret_in", swapped_meanwhile)
    bench.now = 10.0
    assert followed.current() == "ada:first-word"
    bench.now = 20.0
    assert followed.current() == "eve:third-word"
    assert {"user": "bob", "password": "third-word"} not in bench.made
