"""Opens the HTTP address and closes it again."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from scaler.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["listening"]

_CLOSE_WITHIN = 2.0  # seconds for pages under way when the server ends


@asynccontextmanager
async def listening(app: web.Application, address: str) -> AsyncIterator[int]:
    """Serves the app at HOST:PORT while the context is open, in the running loop; gives the port (asked for: 0).

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
        await web.SockSite(runner, sock).start()
        yield port
    finally:
        await runner.cleanup()


def _open(address: str) -> socket.socket:
    host, _, number = address.rpartition(":")
    host, port = host.strip("[]"), int(number)
    if host != "::":
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # all of both IPv4 and IPv6, as gRPC takes it; asyncio alone would take IPv6 only
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
