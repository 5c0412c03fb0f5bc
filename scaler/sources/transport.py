"""Connections that keep to the address policy, under httpx.

httpx offers no place to look at the address of a connection before it is made; httpcore, which makes httpx's
connections, does: its network backend. So this is httpx's transport interface over httpcore's pool, both public.
Proxies from the environment are not used: they would connect where the policy cannot look.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import ssl
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

import httpcore
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
    from types import TracebackType

    from scaler.sources.address import AddressPolicy, IPAddress

__all__ = ["GuardedBackend", "GuardedTransport", "failure_reason", "resolve"]

_HTTPX_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.ProxyError: httpx.ProxyError,
}


async def resolve(host: str, port: int) -> list[IPAddress]:
    """All addresses of the host, in the resolver's order of preference."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(sockaddr[0]) for *_, sockaddr in found))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a host once, checks every address, and connects to a checked address, never to the name.

    Args:
        policy: Which addresses are allowed.
        resolve: Gives the addresses of a host; may raise OSError.
        network: Makes the connections.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        resolve: Callable[[str, int], Awaitable[Sequence[IPAddress]]] = resolve,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects to the first address that answers.

        Raises:
            AddressRefused: The policy refuses one of the addresses.
            httpcore.ConnectError, httpcore.ConnectTimeout: No address answers.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"the name {host} could not be resolved in time") from error
        except (OSError, UnicodeError):
            raise httpcore.ConnectError(f"the name {host} cannot be resolved") from None
        self._policy.check(host, port, addresses)
        failure: Exception = httpcore.ConnectError(f"the name {host} has no address")
        for tried, address in enumerate(addresses):
            # a share of what is left each, so that a first address that swallows packets leaves time for the next
            share = None if deadline is None else (deadline - time.monotonic()) / (len(addresses) - tried)
            try:
                return _Stream(
                    await self._network.connect_tcp(str(address), port, share, local_address, socket_options)
                )
            except (httpcore.ConnectTimeout, httpcore.ConnectError) as error:
                failure = error
        raise failure


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that knows its socket.

    For each request the pool asks every idle connection whether the other side has closed it; to find the socket for
    that took twenty times as long as to look at it, a millisecond for a pool of sixteen.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._socket: socket.socket | None = stream.get_extra_info("socket")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 -- httpcore's signature
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- httpcore's signature
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> object:
        if info != "is_readable" or self._socket is None:
            return self._stream.get_extra_info(info)
        number = self._socket.fileno()
        if number < 0:
            return True  # it is closed: reading would say so
        look = select.poll()
        look.register(number, select.POLLIN)
        return bool(look.poll(0))


@dataclass(slots=True)
class _Pool:
    """Connections made with one set of TLS settings."""

    connections: httpcore.AsyncConnectionPool
    tls: ssl.SSLContext | None
    at_work: int = 0


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx's transport over a pool of connections that a `GuardedBackend` makes.

    Args:
        backend: Makes them.
        tls: Gives the TLS settings in force, the same object until they change: then connections are made anew.
        connections: The most of them at once.
    """

    def __init__(self, backend: GuardedBackend, *, tls: Callable[[], ssl.SSLContext | None], connections: int) -> None:
        self._backend = backend
        self._tls = tls
        self._connections = connections
        self._pool = self._open(tls())
        self._before: list[_Pool] = []  # of other certificates: each is closed with the last answer that comes over it

    def _open(self, tls: ssl.SSLContext | None) -> _Pool:
        connections = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=self._connections,
            max_keepalive_connections=self._connections,
            keepalive_expiry=60.0,
            network_backend=self._backend,
        )
        return _Pool(connections, tls)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request, over a connection that was made with the TLS settings in force."""
        tls = self._tls()
        if tls is not self._pool.tls:
            self._before.append(self._pool)
            self._pool = self._open(tls)
            await self._close_unused()
        pool = self._pool
        pool.at_work += 1
        try:
            return await self._send(pool, request)
        except BaseException:
            await self._ended(pool)
            raise

    async def _ended(self, pool: _Pool) -> None:
        pool.at_work -= 1
        if pool is not self._pool:
            await self._close_unused()

    async def _close_unused(self) -> None:
        unused = [pool for pool in self._before if not pool.at_work]
        self._before = [pool for pool in self._before if pool.at_work]
        for pool in unused:
            await pool.connections.aclose()

    async def _send(self, pool: _Pool, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101 -- AsyncClient makes no other
        try:
            response = await pool.connections.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except tuple(_HTTPX_ERRORS) as error:
            raise _as_httpx(error) from error
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response, lambda: self._ended(pool)),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Closes all connections."""
        for pool in (self._pool, *self._before):
            await pool.connections.aclose()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response, ended: Callable[[], Awaitable[None]]) -> None:
        self._response = response
        self._ended: Callable[[], Awaitable[None]] | None = ended

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except tuple(_HTTPX_ERRORS) as error:
            raise _as_httpx(error) from error

    async def aclose(self) -> None:
        ended, self._ended = self._ended, None
        try:
            await self._response.aclose()
        finally:
            if ended is not None:
                await ended()


def _as_httpx(error: Exception) -> httpx.TransportError:
    return _HTTPX_ERRORS[type(error)](failure_reason(error) if isinstance(error, httpcore.ConnectError) else str(error))


def failure_reason(failure: Exception) -> str:
    """What the operating system or the TLS library said below the layers that wrapped it, else the failure's text."""
    error: BaseException | None = failure
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"certificate verify failed: {error.verify_message}; give its authority's certificate as ca"
        if isinstance(error, ssl.SSLError):
            return f"no TLS connection: {(error.reason or 'unknown reason').lower().replace('_', ' ')}"
        if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
            return os.strerror(error.errno).lower()
        error = error.__cause__ or error.__context__
    return str(failure)
