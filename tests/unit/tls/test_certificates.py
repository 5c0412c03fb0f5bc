"""Certificates follow their files, survive bad ones, and say so once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from scaler.tls.certificates import Certificates
from scaler.tls.material import TlsFiles, read_material
from tests.support.authority import Authority, Pair

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    return [(record.getMessage(), vars(record)["foresail_fields"]) for record in caplog.records]


def test_a_rotation_is_taken_up_and_half_of_one_is_not(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first, second = authority.issue("DNS:first"), authority.issue("DNS:second")
    in_use = Pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    in_use.replace(first)
    files = TlsFiles(cert=in_use.cert, key=in_use.key)
    now = read_material(files).not_before
    certificates = Certificates(files, clock=lambda: now)
    context = certificates.context()
    assert certificates.context() is context
    os.replace(second.key, in_use.key)  # noqa: PTH105  # what a rotation does
    assert [certificates.current().names for _ in range(3)] == [("first",)] * 3
    assert certificates.context() is context
    os.replace(second.cert, in_use.cert)  # noqa: PTH105  # as above
    assert certificates.current().names == ("second",)
    assert certificates.context() is not context
    in_use.cert.unlink()
    assert certificates.current().names == ("second",)
    told = events(caplog)
    assert [event for event, _ in told] == ["tls.not_reloaded", "tls.reloaded", "tls.not_reloaded"]
    assert told[0][1]["reason"] == (
        f'settings: tls_key is "{in_use.key}": it is the key of another certificate than that in tls_cert'
    )


@pytest.mark.parametrize(
    ("days_left", "event"), [(-1.0, "tls.expired"), (0.0, "tls.expired"), (6.9, "tls.expires_soon"), (7.1, None)]
)
def test_the_end_of_a_certificate_is_told(
    authority: Authority, caplog: pytest.LogCaptureFixture, days_left: float, event: str | None
) -> None:
    pair = authority.issue("DNS:x")
    files = TlsFiles(cert=pair.cert, key=pair.key)
    until = read_material(files).not_after
    Certificates(files, clock=lambda: until - days_left * 86_400)
    assert [told for told, _ in events(caplog)] == ([event] if event else [])
