"""What a fleet exports of itself: a page of counters that agree with its loads, for a real Prometheus to scrape.

`python -m tests.bench.load.exporter SIZE`: prints its port, runs until its input ends.
"""

from __future__ import annotations

import asyncio
import sys
import time

from tests.bench.load.fleet import counted, labels_of

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n%b"


def page(size: int, now: float) -> bytes:
    """All counters as they stand."""
    lines = [f"http_requests_total{{{labels_of(member)}}} {counted(member, now):.6f}" for member in range(size)]
    return "\n".join(["# TYPE http_requests_total counter", *lines, ""]).encode()


class Connection(asyncio.Protocol):
    """Answers every request with the page."""

    size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            body = page(self.size, time.time())
            self._transport.write(_HEAD % (len(body), body))


async def main() -> None:
    """Serves."""
    Connection.size = int(sys.argv[1])
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
