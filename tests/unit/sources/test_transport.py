"""Where connections are made: one look at the name, every address checked, a checked one connected to."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import pytest

from scaler.errors import AddressRefused
from scaler.sources import transport
from scaler.sources.address import AddressPolicy
from scaler.sources.transport import GuardedBackend, GuardedTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler.sources.address import IPAddress

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"


class Network(httpcore.AsyncNetworkBackend):
    """Records where connections go; the named addresses do not answer."""

    def __init__(self, **down: Exception) -> None:
        self.down = {name.replace("_", "."): error for name, error in down.items()}
        self.connected: list[tuple[str, int]] = []
        self.shares: list[float | None] = []

    async def connect_tcp(self, host: str, port: int, *more: Any) -> Any:
        self.connected.append((host, port))
        self.shares.append(more[0])
        if host in self.down:
            raise self.down[host]
        return httpcore.AsyncMockStream([ANSWER])


class Names:
    """Resolves each time to the next list of addresses, as a hostile name server does."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> list[IPAddress]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ip_address(address) for address in answer]


async def get(network: Network, names: Any, url: str = "http://prom:9090/x") -> httpx.Response:
    backend = GuardedBackend(AddressPolicy(), resolve=names, network=network)
    async with httpx.AsyncClient(transport=GuardedTransport(backend, tls=lambda: None, connections=2)) as client:
        return await client.get(url)


async def test_the_connection_goes_to_the_checked_address() -> None:
    network, names = Network(), Names(["10.0.0.1"], ["127.0.0.1"])
    assert (await get(network, names)).text == "good"
    assert (network.connected, names.asked) == ([("10.0.0.1", 9090)], 1)


async def test_a_name_that_changes_its_mind_is_refused_then() -> None:
    network, names = Network(), Names(["10.0.0.1"], ["127.0.0.1"])
    await get(network, names)
    with pytest.raises(AddressRefused, match=r"it resolves to 127\.0\.0\.1, a loopback address"):
        await get(network, names)
    assert network.connected == [("10.0.0.1", 9090)]


async def test_one_bad_address_spoils_them_all() -> None:
    network = Network()
    with pytest.raises(AddressRefused):
        await get(network, Names(["10.0.0.1", "169.254.169.254"]))
    assert network.connected == []


async def test_the_next_address_is_tried() -> None:
    network = Network(**{"10_0_0_1": httpcore.ConnectTimeout(), "10_0_0_2": httpcore.ConnectError("no")})
    await get(network, Names(["10.0.0.1", "10.0.0.2", "10.0.0.3"]))
    assert [host for host, _ in network.connected] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    first, second, third = (share or 0.0 for share in network.shares)
    assert 0 < first <= 5 / 3 < second <= 5 / 2 < third <= 5


@pytest.mark.parametrize(
    ("down", "error"),
    [
        ({"10_0_0_1": httpcore.ConnectError("no"), "10_0_0_2": httpcore.ConnectTimeout()}, httpx.ConnectTimeout),
        ({"10_0_0_1": httpcore.ConnectTimeout(), "10_0_0_2": httpcore.ConnectError("no")}, httpx.ConnectError),
    ],
)
async def test_the_last_failure_is_told(down: dict[str, Exception], error: type[Exception]) -> None:
    with pytest.raises(error):
        await get(Network(**down), Names(["10.0.0.1", "10.0.0.2"]))


async def test_the_reason_is_what_the_system_said() -> None:
    refused = httpcore.ConnectError("All connection attempts failed")
    refused.__context__ = OSError(111, "Connect call failed ('10.0.0.1', 9090)")
    with pytest.raises(httpx.ConnectError, match=r"^connection refused$"):
        await get(Network(**{"10_0_0_1": refused}), Names(["10.0.0.1"]))


@pytest.mark.parametrize(
    ("failure", "error", "text"),
    [
        (OSError(-2, "Name or service not known"), httpx.ConnectError, "the name prom cannot be resolved"),
        (UnicodeError("label too long"), httpx.ConnectError, "the name prom cannot be resolved"),
        (TimeoutError(), httpx.ConnectTimeout, "the name prom could not be resolved in time"),
    ],
)
async def test_names_that_do_not_resolve(failure: Exception, error: type[Exception], text: str) -> None:
    async def names(_host: str, _port: int) -> list[IPAddress]:
        raise failure

    with pytest.raises(error) as caught:
        await get(Network(), names)
    assert str(caught.value) == text


async def test_a_name_without_addresses() -> None:
    with pytest.raises(httpx.ConnectError, match=r"^the name prom has no address$"):
        await get(Network(), Names([]))


async def test_the_system_resolver_gives_each_address_once() -> None:
    assert await transport.resolve("127.0.0.1", 9090) == [ip_address("127.0.0.1")]


def test_every_error_of_httpcore_has_one_of_httpx() -> None:
    def leaves(kind: type[Exception]) -> set[type[Exception]]:
        return {leaf for below in kind.__subclasses__() for leaf in leaves(below)} or {kind}

    roots = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
    known = set().union(*(leaves(root) for root in roots)) | {httpcore.UnsupportedProtocol, httpcore.ProxyError}
    public = {kind for kind in known if kind.__name__ in httpcore.__all__}
    assert set(transport._HTTPX_ERRORS) == public
    assert all(ours.__name__ == theirs.__name__ for ours, theirs in transport._HTTPX_ERRORS.items())


async def test_a_connection_that_the_other_side_has_closed_is_seen_and_one_that_idles_is_kept() -> None:
    closing = asyncio.Event()
    served: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await closing.wait()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = "127.0.0.1", server.sockets[0].getsockname()[1]
        stream = await GuardedBackend(AddressPolicy.parse(["127.0.0.1"])).connect_tcp(*address)
        assert stream.get_extra_info("is_readable") is False
        assert stream.get_extra_info("server_addr")[:2] == address
        await stream.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await stream.read(100)).startswith(b"HTTP/1.1 200 OK")
        assert stream.get_extra_info("is_readable") is False
        closing.set()
        while not stream.get_extra_info("is_readable"):  # noqa: ASYNC110 - the kernel tells of it in its own time
            await asyncio.sleep(0.001)
        assert await stream.read(100) == b""
        await stream.aclose()
        assert stream.get_extra_info("is_readable") is True
    assert len(served) == 1
