"""TLS as KEDA speaks it: the authority, the client's certificate and its key as its trigger parameters give them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from scaler.keda.client import KedaClient, Reading, ref
from scaler.keda.clients import only_clients, server_credentials
from scaler.tls.certificates import Certificates
from scaler.tls.material import TlsFiles
from tests.support.authority import Authority, Pair
from tests.support.keda_edge import running_edge
from tests.support.scripted_desk import ScriptedDesk, decided

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

NOW = 1_700_000_000.0
KEDA = "keda-operator.keda.svc.cluster.local"
SPIFFE = "spiffe://cluster.local/ns/keda/sa/keda-operator"
TRIGGER = {"serverAddress": "http://prometheus:9090", "query": "q", "threshold": "10"}


@dataclass
class World:
    """Two authorities, and what they have signed."""

    ours: Authority
    theirs: Authority
    server: Pair
    keda: Pair
    directory: Path

    def parameters(self, *, ca: Authority | None = None, client: Pair | None = None) -> dict[str, str]:
        """What KEDA's trigger authentication gives: texts of the files."""
        found = {"caCert": (ca or self.ours).cert.read_text()}
        if client is not None:
            found |= {"tlsClientCert": client.cert.read_text(), "tlsClientKey": client.key.read_text()}
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    directory = tmp_path_factory.mktemp("tls")
    ours, theirs = Authority(directory, "ours"), Authority(directory, "theirs")
    return World(
        ours=ours,
        theirs=theirs,
        server=ours.issue("IP:127.0.0.1,DNS:foresail.foresail.svc"),
        keda=ours.issue(f"DNS:{KEDA},URI:{SPIFFE}"),
        directory=directory,
    )


def credentials(parameters: Mapping[str, str]) -> grpc.ChannelCredentials:
    """The channel's, made as KEDA makes them of `caCert` (or `tlsCertFile`), `tlsClientCert` and `tlsClientKey`."""

    def given(name: str) -> bytes | None:
        return parameters[name].encode() if name in parameters else None

    return grpc.ssl_channel_credentials(
        root_certificates=given("caCert"), private_key=given("tlsClientKey"), certificate_chain=given("tlsClientCert")
    )


@asynccontextmanager
async def serving(files: TlsFiles, *, clients: tuple[str, ...] = ()) -> AsyncIterator[str]:
    certificates = Certificates(files, clock=lambda: NOW)
    async with running_edge(
        ScriptedDesk(decided(42.0)), credentials=server_credentials(certificates), admit=only_clients(clients)
    ) as edge:
        yield edge.address


async def poll(target: str, parameters: Mapping[str, str]) -> Reading:
    async with KedaClient(target, credentials=credentials(parameters)) as keda:
        return await keda.poll(ref({**TRIGGER, **parameters}))


def mutual(world: World, server: Pair | None = None) -> TlsFiles:
    pair = server or world.server
    return TlsFiles(cert=pair.cert, key=pair.key, client_ca=world.ours.cert)


async def test_keda_with_its_certificate_is_answered(world: World) -> None:
    async with serving(mutual(world)) as target:
        reading = await poll(target, world.parameters(client=world.keda))
    assert (reading.code, reading.value) == (grpc.StatusCode.OK, 42.0)


async def test_without_an_authority_of_clients_none_need_a_certificate(world: World) -> None:
    files = TlsFiles(cert=world.server.cert, key=world.server.key)
    async with serving(files) as target:
        assert (await poll(target, world.parameters())).value == 42.0


async def test_no_certificate_no_call(world: World) -> None:
    async with serving(mutual(world)) as target:
        reading = await poll(target, world.parameters())
    assert reading.code is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_is_refused(world: World) -> None:
    stranger = world.theirs.issue(f"DNS:{KEDA}")
    async with serving(mutual(world)) as target:
        reading = await poll(target, world.parameters(client=stranger))
    assert reading.code is grpc.StatusCode.UNAVAILABLE


async def test_an_expired_certificate_of_the_client_is_refused(world: World) -> None:
    expired = world.ours.issue(f"DNS:{KEDA}", days=-1)
    async with serving(mutual(world)) as target:
        reading = await poll(target, world.parameters(client=expired))
    assert reading.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("authority", "CERTIFICATE_VERIFY_FAILED"),
        ("host", "Hostname Verification Check failed"),
        ("expired", "certificate has expired"),
    ],
)
async def test_keda_refuses_a_server_that_it_should_not_trust(world: World, flaw: str, said: str) -> None:
    server = {
        "authority": lambda: world.server,
        "host": lambda: world.ours.issue("DNS:elsewhere"),
        "expired": lambda: world.ours.issue("IP:127.0.0.1", days=-1),
    }[flaw]()
    trusted = world.theirs if flaw == "authority" else world.ours
    async with serving(mutual(world, server)) as target:
        reading = await poll(target, world.parameters(ca=trusted, client=world.keda))
    assert reading.code is grpc.StatusCode.UNAVAILABLE
    assert said in reading.text


@pytest.mark.parametrize("allowed", [(KEDA,), (SPIFFE,), ("other", KEDA.upper())])
async def test_a_client_on_the_list_is_answered(world: World, allowed: tuple[str, ...]) -> None:
    async with serving(mutual(world), clients=allowed) as target:
        assert (await poll(target, world.parameters(client=world.keda))).value == 42.0


async def test_a_client_that_is_not_on_the_list_is_refused_in_words(world: World) -> None:
    async with serving(mutual(world), clients=("other.keda.svc",)) as target:
        reading = await poll(target, world.parameters(client=world.keda))
    assert reading.code is grpc.StatusCode.PERMISSION_DENIED
    assert reading.text == (
        f"the client certificate's subject alternative names ({KEDA}, {SPIFFE}) are not among those that may call "
        "here: let the operator add one of them to the server's setting tls_grpc_clients"
    )


async def test_nor_is_it_told_of_health_or_services(world: World) -> None:
    stranger = world.ours.issue("DNS:other.default.svc")
    words = "add one of them to the server's setting tls_grpc_clients"
    async with serving(mutual(world), clients=(KEDA,)) as target:
        for client, codes in ((world.keda, [None] * 3), (stranger, [grpc.StatusCode.PERMISSION_DENIED] * 3)):
            parameters = world.parameters(client=client)
            async with grpc.aio.secure_channel(target, credentials(parameters)) as channel:
                any_channel: Any = channel  # the types of these stubs know no asyncio
                health: Any = HealthStub(any_channel)
                reflection: Any = ServerReflectionStub(any_channel)
                asked = iter([ServerReflectionRequest(list_services="")])
                calls = (
                    health.Check(HealthCheckRequest()),
                    anext(aiter(health.Watch(HealthCheckRequest()))),
                    anext(aiter(reflection.ServerReflectionInfo(asked))),
                )
                found = await asyncio.gather(*calls, return_exceptions=True)
            assert [error.code() if isinstance(error, grpc.RpcError) else None for error in found] == codes
            assert all(words in str(error.details()) for error in found if isinstance(error, grpc.aio.AioRpcError))


async def test_a_certificate_without_names_is_not_on_the_list(world: World) -> None:
    nameless = world.ours.issue("")
    async with serving(mutual(world), clients=(KEDA,)) as target:
        reading = await poll(target, world.parameters(client=nameless))
    assert reading.code is grpc.StatusCode.PERMISSION_DENIED
    assert "(none)" in reading.text


async def test_rotated_certificates_are_taken_up_without_a_restart(world: World, tmp_path: Path) -> None:
    files = TlsFiles(cert=tmp_path / "tls.crt", key=tmp_path / "tls.key", client_ca=tmp_path / "ca.crt")
    in_use = Pair(files.cert, files.key)
    in_use.replace(world.server)
    assert files.client_ca is not None
    os.link(world.ours.cert, files.client_ca)
    theirs = world.theirs.issue("IP:127.0.0.1")
    async with (
        serving(files) as target,
        KedaClient(target, credentials=credentials(world.parameters(client=world.keda))) as long_open,
    ):
        assert (await long_open.poll(ref(TRIGGER))).value == 42.0
        in_use.replace(theirs)
        files.client_ca.unlink()
        os.link(world.theirs.cert, files.client_ca)
        # the connection that is open goes on; a new one is judged by the new files, on both sides
        assert (await long_open.poll(ref(TRIGGER))).value == 42.0
        of_theirs = world.parameters(ca=world.theirs, client=world.theirs.issue("DNS:keda"))
        assert (await poll(target, of_theirs)).value == 42.0
        old_client = await poll(target, world.parameters(ca=world.theirs, client=world.keda))
        assert old_client.code is grpc.StatusCode.UNAVAILABLE
        # files that are no good change nothing
        files.cert.write_text("-----BEGIN CERTIFICATE-----\nhalf")
        assert (await poll(target, of_theirs)).value == 42.0


@pytest.mark.parametrize(("version", "taken"), [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
async def test_tls_1_2_is_the_least(world: World, version: str, *, taken: bool) -> None:
    files = TlsFiles(cert=world.server.cert, key=world.server.key)
    async with serving(files) as target:
        done = await _openssl_client(target, version)
    assert ("Cipher is (NONE)" not in done) == taken, done


async def _openssl_client(target: str, version: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", version, "-cipher", "DEFAULT@SECLEVEL=0", "-alpn", "h2", "-connect", target),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out.decode(errors="replace")
