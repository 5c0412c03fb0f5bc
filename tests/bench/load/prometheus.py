"""A Prometheus for a fleet, in a process of its own: its HTTP API over keep-alive connections, and next to no work.

Prints its port, runs until its input ends, then prints how many queries it has answered.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from urllib.parse import parse_qs, urlsplit

from tests.bench.load.fleet import load_text, loads, member_of

_LENGTH = re.compile(r"content-length: *([0-9]+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


_PART = re.compile(r'"(?P<label>foresail_part)","(?P<part>[^"]+)","",""\)')


def _asked(query: str) -> list[tuple[str, int]]:
    """Labels, as JSON, and member of each series that the query gives: several, if they are asked together."""
    found, at = [], 0
    for part in _PART.finditer(query):
        labels = f'{{"{part["label"]}":"{part["part"]}"}}'
        found.append((labels, member_of(query[at : part.start()])))
        at = part.end()
    return found or [("{}", member_of(query))]


def instant(query: str, now: int) -> bytes:
    """What Prometheus answers to /api/v1/query."""
    series = [f'{{"metric":{labels},"value":[{now},"{load_text(member, now)}"]}}' for labels, member in _asked(query)]
    return _answer("vector", series)


def window(query: str, start: int, end: int, step: int) -> bytes:
    """What Prometheus answers to /api/v1/query_range."""
    series = []
    for labels, member in _asked(query):
        values = loads(member, start, (end - start) // step + 1, step).tolist()
        samples = ",".join([f'[{start + n * step},"{value:.6f}"]' for n, value in enumerate(values)])
        series.append(f'{{"metric":{labels},"values":[{samples}]}}')
    return _answer("matrix", series)


def _answer(kind: str, series: list[str]) -> bytes:
    return f'{{"status":"success","data":{{"resultType":"{kind}","result":[{",".join(series)}]}}}}'.encode()


def answer(path: str, form: str) -> bytes:
    """The body for one request."""
    values = {name: values[0] for name, values in parse_qs(form).items()}
    if path.endswith("/query_range"):
        return window(values["query"], int(values["start"]), int(values["end"]), int(values["step"]))
    return instant(values["query"], int(values.get("time", time.time())))


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
            head = self._buffer[:end].decode()
            length = _LENGTH.search(head)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < size:
                return
            form, self._buffer = self._buffer[end + 4 : size].decode(), self._buffer[size:]
            target = urlsplit(head.split(" ", 2)[1])
            body = answer(target.path, form or target.query)
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
