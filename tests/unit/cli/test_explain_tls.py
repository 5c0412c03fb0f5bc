"""`foresail explain` where the HTTP side speaks TLS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from scaler.cli.main import main
from scaler.tls.certificates import Certificates
from scaler.tls.material import TlsFiles
from scaler.web.listen import listening
from tests.support.authority import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture
async def port(authority: Authority) -> AsyncIterator[int]:
    async def explain(request: web.Request) -> web.Response:
        shown = bool(request.transport and request.transport.get_extra_info("peercert"))
        token = request.headers.get("Authorization", "none")
        return web.json_response({"error": f"shown a certificate: {shown}, a token: {token}"}, status=404)

    app = web.Application()
    app.router.add_get("/api/v1/triggers/shop/web/explain", explain)
    pair = authority.issue("IP:127.0.0.1")
    files = TlsFiles(cert=pair.cert, key=pair.key, client_ca=authority.cert)
    async with listening(app, "127.0.0.1:0", certificates=Certificates(files, clock=lambda: 0.0)) as port:
        yield port


async def said(port: int, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    command = ["explain", "shop/web", "--server", f"https://127.0.0.1:{port}", *options]
    assert await asyncio.to_thread(main, command) == 1
    return capsys.readouterr().err


async def test_the_server_s_authority_and_our_own_certificate(
    port: int, authority: Authority, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ca = ("--ca", str(authority.cert))
    assert f"https://127.0.0.1:{port} says: shown a certificate: False" in await said(port, capsys, *ca)
    ours = authority.issue("DNS:me")
    both = tmp_path / "me.pem"
    both.write_bytes(ours.cert.read_bytes() + ours.key.read_bytes())
    assert "says: shown a certificate: True" in await said(port, capsys, *ca, "--cert", str(both))


async def test_a_server_that_is_not_trusted(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    text = await said(port, capsys)
    assert f"no server answers at https://127.0.0.1:{port} (certificate verify failed: " in text


async def test_files_that_are_no_good(
    port: int, authority: Authority, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = tmp_path / "none.pem"
    assert f'--ca "{missing}": No such file or directory' in await said(port, capsys, "--ca", str(missing))
    text = await said(port, capsys, "--cert", str(authority.cert))
    assert f'--cert "{authority.cert}": the file must hold a certificate and its unencrypted key in PEM' in text
    missing.write_text("no certificate")
    assert f'--ca "{missing}": the file must hold certificates in PEM' in await said(port, capsys, "--ca", str(missing))


async def test_the_token_comes_from_a_file_or_the_environment(
    port: int,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ca = ("--ca", str(authority.cert))
    assert "a token: none" in await said(port, capsys, *ca)
    monkeypatch.setenv("FORESAIL_TOKEN", "from-the-environment")
    assert "a token: Bearer from-the-environment" in await said(port, capsys, *ca)
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    assert "a token: Bearer from-a-file" in await said(port, capsys, *ca, "--token-file", str(file))
    file.write_text("two\nlines")
    broken = "the token must be printable ASCII characters, without line breaks between them"
    assert broken in await said(port, capsys, *ca, "--token-file", str(file))
    file.unlink()
    text = await said(port, capsys, *ca, "--token-file", str(file))
    assert f'--token-file "{file}": the file must hold a token, and nothing else' in text
