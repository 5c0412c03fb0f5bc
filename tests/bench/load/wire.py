"""One gRPC connection as grpc-go keeps it, in as little CPU as Python allows: the machine belongs to the servers.

HTTP/2 (RFC 9113) with what unary calls need and no more. Header names and values that repeat are entered into
HPACK's table (RFC 7541) by the first call of each method and named by number from then on, as grpc-go does.
Answers are told by their frames: a message and an end is a good one, an end without a message is an error.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["METHODS", "Connection", "connect"]

METHODS = ("GetMetricSpec", "GetMetrics", "IsActive")
_SERVICE = "/externalscaler.ExternalScaler/"

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM = _ACK = 1
_END_HEADERS = 4
_WINDOW = 2**30
_FRAME = struct.Struct(">BHBBI")


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return _FRAME.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def _text(value: str) -> bytes:
    data = value.encode()
    assert len(data) < 127  # no longer length is needed here
    return bytes([len(data)]) + data


def _entry(name: str | int, value: str) -> bytes:
    """A header that the other side enters into its table; a number names a name of the static table."""
    head = bytes([0x40 | name]) if isinstance(name, int) else b"\x40" + _text(name)
    return head + _text(value)


class _Heads:
    """Header blocks: the first of a method enters what is new, later ones are all numbers."""

    def __init__(self, authority: str) -> None:
        self._entered: list[tuple[str | int, str]] = []  # the dynamic table, oldest first
        self._common: list[tuple[str | int, str]] = [
            (1, authority),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-go/1.76.0"),
        ]
        self._blocks: dict[str, bytes] = {}

    def block(self, method: str) -> bytes:
        """The block of the next call, which must be sent before the next is asked for."""
        block = self._blocks.get(method)
        if block is not None:
            return block
        wanted: list[tuple[str | int, str]] = [(4, _SERVICE + method), *self._common, ("te", "trailers")]
        new = [header for header in wanted if header not in self._entered]
        if new:  # that moves the numbers of all others
            self._blocks = {}
        else:
            self._blocks[method] = b"\x83\x86" + b"".join(map(self._number, wanted))
            return self._blocks[method]
        parts = [b"\x83\x86"]  # :method POST, :scheme http
        for header in wanted:
            if header in new:
                self._entered.append(header)
                parts.append(_entry(*header))
            else:
                parts.append(self._number(header))
        return b"".join(parts)

    def _number(self, header: tuple[str | int, str]) -> bytes:
        return bytes([0x80 | (61 + len(self._entered) - self._entered.index(header))])


class Connection(asyncio.Protocol):
    """Calls over one connection. `call` tells its callback the message, or None for an error."""

    def __init__(self, authority: str) -> None:
        self._heads = _Heads(authority)
        self._next = 1
        self._window = 65_535  # bytes that the server is ready to take
        self._held: list[bytes] = []  # requests that wait for it
        self._calls: dict[int, Callable[[bytes | None], None]] = {}
        self._messages: dict[int, bytes] = {}
        self._buffer = b""
        self._received = 0
        self._idle: asyncio.Future[None] | None = None
        self.closed = False
        self.errors = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        grown = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW))
        transport.write(_PREFACE + _frame(_SETTINGS, 0, 0) + grown)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.closed = True
        for stream in list(self._calls):
            self._end(stream, failed=True)

    def close(self) -> None:
        """Ends the connection; calls under way fail."""
        self._transport.abort()

    async def idle(self) -> None:
        """Returns when every call has its answer."""
        if self._calls:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    def call(self, method: str, message: bytes, done: Callable[[bytes | None], None]) -> None:
        """One unary call.

        Args:
            method: One of METHODS.
            message: The request, encoded.
            done: Told the encoded answer, or None if there is none.
        """
        if self.closed:
            done(None)
            return
        stream, self._next = self._next, self._next + 2
        self._calls[stream] = done
        head = _frame(_HEADERS, _END_HEADERS, stream, self._heads.block(method))
        data = _frame(_DATA, _END_STREAM, stream, b"\0" + len(message).to_bytes(4, "big") + message)
        if self._held or self._window < len(message) + 5:
            # headers go at once: the order of header blocks is the order of the table's entries
            self._transport.write(head)
            self._held.append(data)
            return
        self._window -= len(message) + 5
        self._transport.write(head + data)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at, size = 0, len(buffer)
        while size - at >= 9:
            high, low, kind, flags, stream = _FRAME.unpack_from(buffer, at)
            end = at + 9 + (high << 16 | low)
            if end > size:
                break
            if kind == _DATA:
                self._messages[stream] = self._messages.get(stream, b"") + buffer[at + 9 : end]
                self._take_up(end - at - 9)
                if flags & _END_STREAM:
                    self._end(stream)
            elif kind == _HEADERS:
                if flags & _END_STREAM:
                    self._end(stream)
            else:
                self._control(kind, flags, stream, buffer[at + 9 : end])
            at = end
        self._buffer = buffer[at:]

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
            while self._held and self._window >= len(self._held[0]) - 9:
                self._window -= len(self._held[0]) - 9
                self._transport.write(self._held.pop(0))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0))
        elif kind == _RST_STREAM:
            self._end(stream, failed=True)
        elif kind == _GOAWAY:
            self._transport.close()

    def _take_up(self, count: int) -> None:
        self._received += count
        if self._received > _WINDOW // 2:
            self._transport.write(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._received)))
            self._received = 0

    def _end(self, stream: int, *, failed: bool = False) -> None:
        done = self._calls.pop(stream, None)
        message = self._messages.pop(stream, b"")
        if done is None:
            return
        good = not failed and len(message) >= 5
        self.errors += not good
        done(message[5:] if good else None)
        if not self._calls and self._idle is not None and not self._idle.done():  # also after what `done` may call
            self._idle.set_result(None)


async def connect(port: int) -> Connection:
    """A connection to a server on this machine."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(f"127.0.0.1:{port}"), "127.0.0.1", port)
    return connection
