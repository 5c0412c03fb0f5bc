"""Certificates: whom we trust, who we are, and what we say when it does not fit."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from scaler.errors import InvalidTrigger, SourceUnreachable
from scaler.sources.base import SourceSpec

if TYPE_CHECKING:
    from pathlib import Path

    from scaler.sources.factory import SourcePool
    from tests.integration.sources.conftest import FaultyServer


@dataclass(frozen=True)
class Pair:
    cert: Path
    key: Path

    @property
    def texts(self) -> tuple[str, str]:
        return self.cert.read_text(), self.key.read_text()


def _self_signed(directory: Path, name: str) -> Pair:
    pair = Pair(directory / f"{name}.crt", directory / f"{name}.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"),
            *("-keyout", str(pair.key), "-out", str(pair.cert)),
        ],
        check=True,
        capture_output=True,
    )
    return pair


@pytest.fixture(scope="module")
def server_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return _self_signed(tmp_path_factory.mktemp("tls"), "server")


@pytest.fixture(scope="module")
def client_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return _self_signed(tmp_path_factory.mktemp("tls"), "client")


@pytest.fixture
async def port(faulty: FaultyServer, server_pair: Pair, client_pair: Pair) -> int:
    """A server that takes clients with a certificate as well as without, but only the right certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(server_pair.cert, server_pair.key)
    tls.load_verify_locations(client_pair.cert)
    tls.verify_mode = ssl.CERT_OPTIONAL

    async def who(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        return web.Response(text=f"named {1 if request.transport.get_extra_info('peercert') else 0}\n")

    return await faulty.start(who, tls)


def _spec(port: int) -> SourceSpec:
    return SourceSpec(kind="exposition", address=f"https://127.0.0.1:{port}")


async def test_a_stranger_s_certificate_is_refused_and_the_way_out_told(port: int, pool: SourcePool) -> None:
    with pytest.raises(SourceUnreachable) as caught:
        await pool.open(_spec(port)).instant("named")
    assert str(caught.value) == (
        f"source https://127.0.0.1:{port} cannot be reached: certificate verify failed: self-signed certificate; "
        "give its authority's certificate as ca; tried 2 times"
    )


async def test_a_given_authority_is_trusted(port: int, pool: SourcePool, server_pair: Pair) -> None:
    spec = replace(_spec(port), ca=server_pair.texts[0])
    assert (await pool.open(spec).instant("named")).value == 0


async def test_unsafe_ssl_trusts_anybody(port: int, pool: SourcePool) -> None:
    assert (await pool.open(replace(_spec(port), unsafe_ssl=True)).instant("named")).value == 0


async def test_a_client_certificate_is_shown(port: int, pool: SourcePool, server_pair: Pair, client_pair: Pair) -> None:
    cert, key = client_pair.texts
    spec = replace(_spec(port), ca=server_pair.texts[0], cert=cert, key=key, auth_modes=("tls",))
    assert (await pool.open(spec).instant("named")).value == 1
    assert key not in repr(spec)


@pytest.fixture
def locked_key(client_pair: Pair, tmp_path: Path) -> str:
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", client_pair.key, "-out", locked, "-passout", "pass:word"],
        check=True,
        capture_output=True,
    )
    return locked.read_text()


async def test_texts_that_are_no_certificates(
    pool: SourcePool, server_pair: Pair, client_pair: Pair, locked_key: str
) -> None:
    cert, key = client_pair.texts
    unfit = "cert and key are not a certificate and its unencrypted private key in PEM form"
    for changes, text in (
        ({"ca": "nonsense"}, "ca is not a certificate in PEM form; it begins with -----BEGIN CERTIFICATE-----"),
        ({"ca": "ä"}, "ca is not a certificate in PEM form; it begins with -----BEGIN CERTIFICATE-----"),
        ({"cert": cert}, "cert is given without key; a client certificate needs both, in PEM form"),
        ({"key": key}, "key is given without cert; a client certificate needs both, in PEM form"),
        ({"cert": cert, "key": server_pair.texts[1]}, unfit),
        ({"cert": "nonsense", "key": key}, unfit),
        ({"cert": cert, "key": "nonsense"}, unfit),
        ({"cert": cert, "key": locked_key}, unfit),
    ):
        with pytest.raises(InvalidTrigger) as caught:
            pool.open(replace(_spec(1), **changes))  # type: ignore[arg-type]  # texts all
        assert str(caught.value) == f"trigger metadata: {text}"
