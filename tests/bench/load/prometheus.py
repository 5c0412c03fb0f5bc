"""A Prometheus for a fleet, in a process of its own: its HTTP API over keep-alive connections, and next to no work.

Prints its port, runs until its input ends, then prints how many queries it has answered.
"""

from __future__ import annotations

import asyncio
import sys
import time
from urllib.parse import parse_qs, urlsplit

from tests.bench.load.fleet import load_text, loads, member_of

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


def instant(query: str, now: int) -> bytes:
    """What Prometheus answers to /api/v1/query."""
    sample = f'{{"metric":{{}},"value":[{now},"{load_text(member_of(query), now)}"]}}'
    return f'{{"status":"success","data":{{"resultType":"vector","result":[{sample}]}}}}'.encode()


def window(query: str, start: int, end: int, step: int) -> bytes:
    """What Prometheus answers to /api/v1/query_range."""
    values = loads(member_of(query), start, (end - start) // step + 1, step).tolist()
    samples = ",".join([f'[{start + n * step},"{value:.6f}"]' for n, value in enumerate(values)])
    series = f'{{"metric":{{}},"values":[{samples}]}}'
    return f'{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}'.encode()


def answer(target: str) -> bytes:
    """The body for one request target."""
    url = urlsplit(target)
    form = {name: values[0] for name, values in parse_qs(url.query).items()}
    if url.path.endswith("/query_range"):
        return window(form["query"], int(form["start"]), int(form["end"]), int(form["step"]))
    return instant(form["query"], int(form.get("time", time.time())))


class Connection(asyncio.Protocol):
    """Answers the requests of one connection in their order."""

    answered = 0

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            request, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            method, target, _ = request.split(b"\r\n", 1)[0].decode().split(" ")
            assert method == "GET", request  # the fleet's queries are short
            body = answer(target)
            Connection.answered += 1
            self._transport.write(_HEAD % (len(body), body))


async def main() -> None:
    """Serves."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(Connection.answered, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
