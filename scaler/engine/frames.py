"""Frames on a byte stream: a length of four bytes, then one MessagePack message."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from scaler.errors import EngineLost

if TYPE_CHECKING:
    from typing import Any, BinaryIO

__all__ = ["FrameReader", "encode_frame", "read_frame"]

_LENGTH = struct.Struct("<I")
_LARGEST = 64 * 1024 * 1024  # 10,000 snapshots or 35 days of one-second samples are a fraction of this

_T = TypeVar("_T")


def encode_frame(message: object) -> bytes:
    """The message as one frame."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


class FrameReader(Generic[_T]):
    """Reads frames of one type (a class or a union of tagged ones) from an asyncio stream."""

    def __init__(self, stream: asyncio.StreamReader, kind: Any) -> None:  # noqa: ANN401  # a union is no type[T]
        self._stream = stream
        self._decoder: msgspec.msgpack.Decoder[_T] = msgspec.msgpack.Decoder(kind)

    async def read(self) -> _T | None:
        """The next message; None when the other side has closed the stream.

        Raises:
            EngineLost: The stream broke inside a frame, or does not hold frames.
        """
        try:
            head = await self._stream.readexactly(_LENGTH.size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        (length,) = _LENGTH.unpack(head)
        if length > _LARGEST:
            raise EngineLost(f"a frame of {length} bytes on the local socket: at most {_LARGEST} are allowed")
        try:
            return self._decoder.decode(await self._stream.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise EngineLost(f"a broken frame on the local socket: {error}") from error


def read_frame(stream: BinaryIO, kind: Any) -> Any:  # noqa: ANN401  # a union is no type[T]
    """The next message from a blocking stream; None at its end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    return msgspec.msgpack.decode(stream.read(length), type=kind)
