"""A token in a file that is replaced, as Kubernetes replaces those of service accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scaler.settings import load_settings
from scaler.sources.prometheus import PrometheusSource
from scaler.sources.token import TokenFile
from scaler.telemetry.masking import mask

if TYPE_CHECKING:
    from pathlib import Path

    from scaler.sources.base import SourceSpec
    from tests.unit.sources.conftest import Target


@dataclass
class Mounted:
    """A volume of Kubernetes: the file is a link through a directory that is exchanged as a whole."""

    root: Path
    versions: int = 0

    @property
    def path(self) -> Path:
        return self.root / "token"

    def put(self, token: str) -> None:
        self.versions += 1
        data = self.root / f"..{self.versions}"
        data.mkdir()
        (data / "token").write_text(token + "\n")
        link = self.root / "..data_tmp"
        link.symlink_to(data.name)
        link.rename(self.root / "..data")
        if not self.path.is_symlink():
            self.path.symlink_to("..data/token")


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    volume = Mounted(tmp_path)
    volume.put("first-token")
    return volume


def test_a_token_that_was_replaced_is_sent_within_ten_seconds(mounted: Mounted) -> None:
    now = 0.0
    token = TokenFile(str(mounted.path), "first-token", monotonic=lambda: now)
    assert token.current() == "first-token"
    mounted.put("second-token")
    now = 9.0
    assert token.current() == "first-token"
    now = 10.0
    assert token.current() == "second-token"
    assert mask("it was second-token") == "it was ***"
    assert "second" not in repr(token)


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (lambda volume: volume.path.unlink(), "it cannot be read: No such file or directory"),
        (lambda volume: volume.put(""), "the file must hold 1 to 65536 bytes"),
        (lambda volume: volume.put("two\nlines"), "it must be 1 to 16384 printable ASCII characters"),
    ],
)
def test_while_the_file_is_no_good_the_last_token_is_sent_on(
    mounted: Mounted, caplog: pytest.LogCaptureFixture, break_it: object, why: str
) -> None:
    now = 0.0
    token = TokenFile(str(mounted.path), "first-token", monotonic=lambda: now)
    token.current()
    assert callable(break_it)
    break_it(mounted)
    now = 10.0
    assert token.current() == "first-token"
    now = 20.0
    assert token.current() == "first-token"
    assert caplog.messages == [f"the token in {mounted.path} is not renewed, the last one is sent on: {why}"]
    mounted.path.unlink(missing_ok=True)
    mounted.put("third-token")
    now = 30.0
    assert token.current() == "third-token"


def _named_source(mounted: Mounted) -> SourceSpec:
    """As the settings file has it."""
    settings = mounted.root / "foresail.toml"
    settings.write_text(
        f'[sources.main]\naddress = "http://prom:9090"\nauth_modes = ["bearer"]\nbearer_token_file = "{mounted.path}"\n'
    )
    return load_settings(path=settings, environ={}, overrides={}).sources["main"]


async def test_requests_carry_the_token_in_force(mounted: Mounted, target: Target) -> None:
    spec = _named_source(mounted)
    assert (spec.bearer_token, spec.bearer_token_file) == ("first-token", str(mounted.path))
    target.answers = [(200, b'{"status":"success","data":{"resultType":"scalar","result":[1800000000,"7"]}}', {})]
    source = target.source(PrometheusSource, spec)
    await source.instant("up")
    mounted.put("second-token")
    target.time.now += 10.0
    await source.instant("up")
    sent = [request.headers["Authorization"] for request in target.requests]
    assert sent == ["Bearer first-token", "Bearer second-token"]
