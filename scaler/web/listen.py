"""Opens the HTTP address and closes it again."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from scaler.errors import InvalidSettings
from scaler.tls.material import server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from scaler.tls.certificates import Certificates

__all__ = ["listening"]

_CLOSE_WITHIN = 2.0  # seconds for pages under way when the server ends


@asynccontextmanager
async def listening(
    app: web.Application, address: str, *, certificates: Certificates | None = None
) -> AsyncIterator[int]:
    """Serves the app at HOST:PORT while the context is open, in the running loop; gives the port (asked for: 0).

    Args:
        app: What is served.
        address: Where.
        certificates: Those of TLS, looked at anew at every handshake; None: plain text.

    Raises:
        InvalidSettings: The address cannot be listened on.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_CLOSE_WITHIN)
    await runner.setup()
    try:
        try:
            sock = _open(address)
        except OSError as error:
            why = str(error.strerror).partition(" (while")[0]  # the address once more, in Python's words
            raise InvalidSettings([f"http_address {address}: cannot listen there: {why}; choose another"]) from error
        port: int = sock.getsockname()[1]
        await web.SockSite(runner, sock, ssl_context=None if certificates is None else _following(certificates)).start()
        yield port
    finally:
        await runner.cleanup()


def _following(certificates: Certificates) -> ssl.SSLContext:
    """A context that hands every handshake over to the one of the certificates in force."""
    first = server_context(certificates.current())

    def take_up(connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        connection.context = certificates.context()

    first.sni_callback = take_up  # called for clients that name no server, too
    return first


def _open(address: str) -> socket.socket:
    host, _, number = address.rpartition(":")
    host, port = host.strip("[]"), int(number)
    if host != "::":
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # all of both IPv4 and IPv6, as gRPC takes it; asyncio alone would take IPv6 only
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
