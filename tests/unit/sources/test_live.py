"""The secrets of a source that are replaced in their files: what is sent, and with whose certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaler.settings import load_settings
from scaler.sources.live import LiveSpec
from scaler.sources.prometheus import PrometheusSource
from tests.support.authority import Authority
from tests.support.mounted import Mounted

if TYPE_CHECKING:
    from pathlib import Path

    from scaler.sources.base import SourceSpec
    from tests.unit.sources.conftest import Target

ANSWER = b'{"status":"success","data":{"resultType":"scalar","result":[1800000000,"7"]}}'


def named_source(volume: Mounted, *lines: str, address: str = "http://prom:9090") -> SourceSpec:
    """As the settings file has it."""
    settings = volume.root / "foresail.toml"
    table = [f'address = "{address}"', *lines]
    settings.write_text("\n".join(["[sources.main]", *table]).replace("VOLUME", str(volume.root)) + "\n")
    return load_settings(path=settings, environ={}, overrides={}).sources["main"]


@pytest.mark.parametrize(
    ("lines", "before", "after", "header"),
    [
        (
            ('auth_modes = ["bearer"]', 'bearer_token_file = "VOLUME/token"'),
            {"token": "first-token"},
            {"token": "second-token"},
            ("Authorization", ["Bearer first-token", "Bearer second-token"]),
        ),
        (
            ('auth_modes = ["basic"]', 'username_file = "VOLUME/user"', 'password_file = "VOLUME/password"'),
            {"user": "ada", "password": "first"},
            {"user": "ada", "password": "second"},
            ("Authorization", ["Basic YWRhOmZpcnN0", "Basic YWRhOnNlY29uZA=="]),
        ),
        (
            ('auth_modes = ["custom"]', 'custom_auth_header = "X-Key"', 'custom_auth_value_file = "VOLUME/key"'),
            {"key": "first-key"},
            {"key": "second-key"},
            ("X-Key", ["first-key", "second-key"]),
        ),
    ],
    ids=["bearer", "basic", "custom"],
)
async def test_requests_carry_the_secret_in_force(
    tmp_path: Path,
    target: Target,
    lines: tuple[str, ...],
    before: dict[str, str],
    after: dict[str, str],
    header: tuple[str, list[str]],
) -> None:
    volume = Mounted(tmp_path)
    volume.put(**before)
    source = target.source(PrometheusSource, named_source(volume, *lines))
    target.answers = [(200, ANSWER, {})]
    await source.instant("up")
    volume.put(**after)
    target.time.now += 10.0
    await source.instant("up")
    name, values = header
    assert [request.headers[name] for request in target.requests] == values


async def test_neither_the_new_secret_nor_the_old_is_repeated(tmp_path: Path, target: Target) -> None:
    volume = Mounted(tmp_path)
    volume.put(token="the-first-token")
    lines = 'auth_modes = ["bearer"]', 'bearer_token_file = "VOLUME/token"'
    source = target.source(PrometheusSource, named_source(volume, *lines))
    volume.put(token="the-second-token")
    target.time.now += 10.0
    said = b'{"status":"error","errorType":"bad_data","error":"neither the-first-token nor the-second-token"}'
    target.answers = [(400, said, {})]
    with pytest.raises(Exception, match=r"neither \*\*\* nor \*\*\*$"):
        await source.instant("up")


def test_certificates_are_taken_up_as_a_pair(tmp_path: Path) -> None:
    authority, volume, now = Authority(tmp_path, "ours"), Mounted(tmp_path), 0.0
    one, two = authority.issue("DNS:one"), authority.issue("DNS:two")
    volume.put(cert=one.cert.read_text(), key=one.key.read_text(), ca=authority.cert.read_text())
    lines = ('auth_modes = ["tls"]', *(f'{name}_file = "VOLUME/{name}"' for name in ("ca", "cert", "key")))
    spec = named_source(volume, *lines, address="https://prom:9090")
    live = LiveSpec(spec, monotonic=lambda: now)
    first = live.tls()
    assert live.tls() is first
    volume.put(cert=two.cert.read_text(), key=one.key.read_text(), ca=authority.cert.read_text())
    now = 10.0
    assert live.tls() is first
    volume.put(cert=two.cert.read_text(), key=two.key.read_text(), ca=authority.cert.read_text())
    now = 20.0
    assert live.tls() not in (first, None)
    assert live.current().cert == two.cert.read_text()


def test_a_new_password_makes_no_new_connections(tmp_path: Path) -> None:
    volume, now = Mounted(tmp_path), 0.0
    volume.put(token="the-first-token")
    lines = 'auth_modes = ["bearer"]', 'bearer_token_file = "VOLUME/token"'
    live = LiveSpec(named_source(volume, *lines, address="https://prom:9090"), monotonic=lambda: now)
    tls = live.tls()
    volume.put(token="the-second-token")
    now = 10.0
    assert live.current().bearer_token == "the-second-token"
    assert live.tls() is tls
