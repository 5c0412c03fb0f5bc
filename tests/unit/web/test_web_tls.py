"""The HTTP side over TLS: who gets in, who does not, and that the probes always do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import httpx
import pytest

from scaler.tls.certificates import Certificates
from scaler.tls.material import TlsFiles
from scaler.web.access import Access
from scaler.web.app import make_app
from scaler.web.board import ReadyState
from scaler.web.listen import listening
from scaler.web.log import DecisionPages
from scaler.web.views import Board
from tests.support.authority import Authority, Pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from scaler.decision.change import Change

NOW = 1_700_000_000.0


class NoLog:
    async def read(self, namespace: str, name: str, *, since: float) -> list[tuple[str, Change]]:
        raise AssertionError((namespace, name, since))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Pair:
    return authority.issue("DNS:localhost,IP:127.0.0.1")


@pytest.fixture(scope="module")
def prometheus(authority: Authority) -> Pair:
    return authority.issue("DNS:prometheus.monitoring.svc")


@asynccontextmanager
async def serving(files: TlsFiles, access: Access, certificates: Certificates | None = None) -> AsyncIterator[int]:
    async def metrics_page() -> bytes:
        return b"# the page\n"

    app = make_app(
        board=Board(entries=lambda: (), ready=lambda: ReadyState(ready=True), clock=lambda: NOW),
        metrics_page=metrics_page,
        decisions=DecisionPages(NoLog(), clock=lambda: NOW),
        access=access,
    )
    async with listening(
        app, "127.0.0.1:0", certificates=certificates or Certificates(files, clock=lambda: NOW)
    ) as port:
        yield port


async def get(port: int, path: str, *, ca: Path, client: Pair | None = None) -> httpx.Response:
    tls = ssl.create_default_context(cafile=ca)
    if client is not None:
        tls.load_cert_chain(client.cert, client.key)
    async with httpx.AsyncClient(verify=tls, trust_env=False) as session:
        return await session.get(f"https://localhost:{port}{path}")


async def test_with_a_certificate_everything_without_one_the_probes(
    authority: Authority, server: Pair, prometheus: Pair
) -> None:
    files = TlsFiles(cert=server.cert, key=server.key, client_ca=authority.cert)
    async with serving(files, Access(certificate=True)) as port:
        for path in ("/", "/metrics", "/api/v1/triggers", "/healthz", "/readyz"):
            assert (await get(port, path, ca=authority.cert, client=prometheus)).status_code == 200
        for path in ("/healthz", "/readyz"):
            assert (await get(port, path, ca=authority.cert)).status_code == 200
        for path in ("/", "/metrics", "/api/v1/triggers", "/api/v1/triggers/a/b/explain", "/nowhere"):
            refused = await get(port, path, ca=authority.cert)
            assert (refused.status_code, refused.json()) == (
                401,
                {
                    "error": "a client certificate is asked for here, and none was shown: give one of the server's "
                    "tls_client_ca"
                },
            )


async def test_only_clients_on_the_list_read(authority: Authority, server: Pair, prometheus: Pair) -> None:
    files = TlsFiles(cert=server.cert, key=server.key, client_ca=authority.cert)
    access = Access(certificate=True, clients=("Prometheus.monitoring.svc",))
    async with serving(files, access) as port:
        assert (await get(port, "/metrics", ca=authority.cert, client=prometheus)).status_code == 200
        refused = await get(port, "/metrics", ca=authority.cert, client=server)
    assert refused.status_code == 403
    assert refused.json()["error"] == (
        "the client certificate's subject alternative names (localhost, 127.0.0.1) are not among those that may call "
        "here: let the operator add one of them to the server's setting tls_http_clients"
    )


async def test_a_certificate_of_another_authority_does_not_even_get_a_page(
    authority: Authority, server: Pair, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "theirs").issue("DNS:prometheus.monitoring.svc")
    files = TlsFiles(cert=server.cert, key=server.key, client_ca=authority.cert)
    async with serving(files, Access(certificate=True)) as port:
        with pytest.raises(httpx.TransportError):
            await get(port, "/healthz", ca=authority.cert, client=stranger)


async def test_rotated_certificates_and_authorities_are_taken_up(
    authority: Authority, server: Pair, prometheus: Pair, tmp_path: Path
) -> None:
    files = TlsFiles(cert=tmp_path / "tls.crt", key=tmp_path / "tls.key", client_ca=tmp_path / "ca.crt")
    assert files.client_ca is not None
    in_use = Pair(files.cert, files.key)
    in_use.replace(server)
    files.client_ca.write_bytes(authority.cert.read_bytes())
    theirs = Authority(tmp_path, "theirs")
    async with serving(files, Access(certificate=True)) as port:
        assert (await get(port, "/metrics", ca=authority.cert, client=prometheus)).status_code == 200
        in_use.replace(theirs.issue("DNS:localhost"))
        files.client_ca.write_bytes(theirs.cert.read_bytes())
        assert (await get(port, "/metrics", ca=theirs.cert, client=theirs.issue("DNS:x"))).status_code == 200
        with pytest.raises(httpx.TransportError):
            await get(port, "/metrics", ca=theirs.cert, client=prometheus)


@pytest.mark.parametrize(("version", "taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_tls_1_2_is_the_least(authority: Authority, server: Pair, version: str, *, taken: bool) -> None:
    tls = ssl.create_default_context(cafile=authority.cert)
    tls.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match=version) if version == "TLSv1_1" else nullcontext():
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion[version]
    async with (
        serving(TlsFiles(cert=server.cert, key=server.key), Access()) as port,
        httpx.AsyncClient(verify=tls, trust_env=False) as session,
    ):
        try:
            answered = (await session.get(f"https://localhost:{port}/healthz")).status_code == 200
        except httpx.TransportError:
            answered = False
    assert answered is taken


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_a_session_does_not_outlive_the_authority_that_it_began_with(
    authority: Authority, server: Pair, prometheus: Pair, tmp_path: Path, version: str
) -> None:
    files = TlsFiles(cert=server.cert, key=server.key, client_ca=tmp_path / "ca.crt")
    assert files.client_ca is not None
    files.client_ca.write_bytes(authority.cert.read_bytes())
    theirs = Authority(tmp_path, "theirs")
    tls = ssl.create_default_context(cafile=authority.cert)
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion[version]
    tls.load_cert_chain(prometheus.cert, prometheus.key)
    certificates = Certificates(files, clock=time.time)

    def ask(port: int, session: ssl.SSLSession | None) -> tuple[bytes, ssl.SSLSession | None]:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            tls.wrap_socket(plain, server_hostname="localhost", session=session) as connection,
        ):
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            try:
                answer = b"".join(iter(lambda: connection.recv(4096), b""))
            except OSError:
                answer = b"refused"
            return answer, connection.session

    async with serving(files, Access(certificate=True, certificates=certificates), certificates) as port:
        answer, session = await asyncio.to_thread(ask, port, None)
        assert b"# the page" in answer
        assert b"# the page" in (await asyncio.to_thread(ask, port, session))[0]
        files.client_ca.write_bytes(theirs.cert.read_bytes())
        answer, _ = await asyncio.to_thread(ask, port, session)
    assert b"# the page" not in answer
    assert version == "TLSv1_3" or b"is from before the server's certificates were changed" in answer
