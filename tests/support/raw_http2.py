"""A gRPC client that breaks the rules: HTTP/2 frames by hand, so that it need not read, finish or stay."""

from __future__ import annotations

import socket
import struct
from typing import Self

__all__ = ["RawClient"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0x0, 0x1, 0x3, 0x4
_END_STREAM, _END_HEADERS = 0x1, 0x4
_CANCEL = 8


class RawClient:
    """One connection that sends and never reads. Use it as a context manager."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=10.0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._next = 1
        self.send(_PREFACE + _frame(_SETTINGS, 0, 0, b""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Whether the server has taken it: one that stops reading us is within its rights."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def call(self, method: str, message: bytes, *, finish: bool = True) -> int:
        """Sends a call, or all of it but its end; the stream's number, 0 if the server takes no more."""
        stream, self._next = self._next, self._next + 2
        headers = _block(
            (":method", "POST"),
            (":scheme", "http"),
            (":path", f"/externalscaler.ExternalScaler/{method}"),
            (":authority", "scaler"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        )
        body = b"\0" + struct.pack(">I", len(message)) + message
        taken = self.send(
            _frame(_HEADERS, _END_HEADERS, stream, headers)
            + _frame(_DATA, _END_STREAM if finish else 0, stream, body if finish else body[:3])
        )
        return stream if taken else 0

    def reset(self, stream: int) -> None:
        """Gives a call up."""
        self.send(_frame(_RST_STREAM, 0, stream, struct.pack(">I", _CANCEL)))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _block(*headers: tuple[str, str]) -> bytes:
    """HPACK, RFC 7541 section 6.2.2: literal fields with new names, not indexed, not Huffman-coded."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)


def _text(value: str) -> bytes:
    assert len(value) < 127
    return bytes((len(value),)) + value.encode()
