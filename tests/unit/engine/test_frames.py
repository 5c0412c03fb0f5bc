"""Frames on a stream: whole, broken, cut, oversized."""

from __future__ import annotations

import asyncio
import io

import pytest

from scaler.engine.frames import FrameReader, encode_frame, read_frame
from scaler.engine.messages import Ask, Configure, FitRequest, Register, Reply, Rung, ToEngine
from scaler.errors import EngineLost


def reader(data: bytes) -> FrameReader[ToEngine]:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return FrameReader(stream, ToEngine)


async def test_messages_come_out_as_they_went_in() -> None:
    frames = reader(encode_frame(Ask(1, "metrics")) + encode_frame(Register("shop/web/0", "shop", "web", {"a": "b"})))
    assert await frames.read() == Ask(1, "metrics")
    assert await frames.read() == Register("shop/web/0", "shop", "web", {"a": "b"})
    assert await frames.read() is None


async def test_a_stream_cut_between_frames_has_ended() -> None:
    assert await reader(b"\x01\x00").read() is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x09\x00\x00\x00abc", "a broken frame on the local socket: 3 bytes read on a total of 9 expected bytes"),
        (b"\x03\x00\x00\x00abc", "a broken frame on the local socket: "),
        (encode_frame(Reply(1, b"")), "a broken frame on the local socket: Invalid value 'Reply'"),
        (b"\xff\xff\xff\xff", "a frame of 4294967295 bytes on the local socket: at most 67108864 are allowed"),
    ],
)
async def test_what_is_no_frame_is_an_error_that_says_so(data: bytes, text: str) -> None:
    with pytest.raises(EngineLost) as caught:
        await reader(data).read()
    assert str(caught.value).startswith(text)


def test_a_blocking_stream_is_read_in_the_same_way() -> None:
    request = FitRequest([Rung("naive", {"a": "b"})], 0, 60, b"", 8, [0.5])
    stream = io.BytesIO(encode_frame(request))
    assert read_frame(stream, FitRequest) == request
    assert read_frame(stream, FitRequest) is None


def test_messages_with_secrets_do_not_show_them() -> None:
    assert repr(Register("shop/web/0", "shop", "web", {"bearerToken": "s3cret"})) == "Register('shop/web/0', ...)"
    assert repr(Configure(b"s3cret")) == "Configure(...)"
