"""The engine's side of the socket, in this process: how it begins, listens, and ends."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pytest

from scaler.engine import configuration, process
from scaler.engine.frames import FrameReader, encode_frame
from scaler.engine.messages import Ask, Called, Configure, FromEngine, Refused, Register, Reply
from scaler.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_T = TypeVar("_T")


@dataclass
class Edge:
    """The edge's end of the socket, and the engine that runs on the other."""

    writer: asyncio.StreamWriter
    frames: FrameReader[FromEngine]
    engine: asyncio.Task[int]

    def tell(self, message: object) -> None:
        self.writer.write(encode_frame(message))

    async def hear(self, kind: type[_T]) -> _T:
        """The next message of the kind."""
        while not isinstance(message := await self.frames.read(), kind):
            assert message is not None
        return message


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "setup_logging", lambda **_: None)  # this process's logs are pytest's


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@asynccontextmanager
async def _engine() -> AsyncIterator[Edge]:
    ours, theirs = socket.socketpair()
    engine = asyncio.create_task(process._run(theirs))
    reader, writer = await asyncio.open_connection(sock=ours)
    try:
        yield Edge(writer, FrameReader(reader, FromEngine), engine)
    finally:
        writer.transport.abort()
        await asyncio.gather(engine, return_exceptions=True)


async def test_it_answers_until_the_edge_goes(settings: Settings) -> None:
    async with _engine() as edge:
        edge.tell(Configure(configuration.dumps(settings)))
        edge.tell(Called(["shop/never-seen/0"]))
        edge.tell(Configure(b"a second time: of no effect"))
        edge.tell(Register("shop/web/0", "shop", "web", {}))
        refused = await edge.hear(Refused)
        assert (refused.trigger, refused.refusal.error) == ("shop/web/0", "InvalidTrigger")
        edge.tell(Ask(1, "metrics"))
        edge.tell(Ask(2, "alive"))
        page = await edge.hear(Reply)
        assert page.number == 1
        assert b"foresail_series 0.0" in page.data
        assert await edge.hear(Reply) == Reply(2, b"")
        edge.writer.close()
        assert await edge.engine == 0
    assert (settings.data_dir / process.STORE_FILE).exists()


async def test_an_edge_that_is_gone_before_it_said_anything() -> None:
    async with _engine() as edge:
        edge.writer.close()
        assert await edge.engine == 1


async def test_a_broken_frame_ends_it_with_a_word(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    async with _engine() as edge:
        edge.tell(Configure(configuration.dumps(settings)))
        edge.writer.write(b"\x03\x00\x00\x00abc")
        assert await edge.engine == 1
    assert caplog.messages[-1] == "engine.failed"


async def test_what_nobody_foresaw_ends_it_with_its_trace(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(process, "SourcePool", broken)
    async with _engine() as edge:
        edge.tell(Configure(configuration.dumps(settings)))
        assert await edge.engine == 1
    assert caplog.messages[-1] == "engine.failed"
    assert caplog.records[-1].exc_info is not None


async def test_without_a_store_it_goes_on_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    async with _engine() as edge:
        edge.tell(Configure(configuration.dumps(Settings(data_dir=tmp_path / "file" / "data"))))
        edge.tell(Ask(1, "metrics"))
        page = await edge.hear(Reply)
        assert b"foresail_store_errors_total 1.0" in page.data
        edge.writer.close()
        assert await edge.engine == 0
    assert "store.in_memory" in caplog.messages


@pytest.mark.parametrize("gone", [False, True])
async def test_an_edge_that_does_not_read_is_left(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    gone: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    publishes: list[Callable[[object], None]] = []
    serve = process._serve

    async def spied(*arguments: object) -> None:
        publishes.append(arguments[-1])  # type: ignore[arg-type]  # the last one is `publish`
        await serve(*arguments)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(process, "_serve", spied)
    monkeypatch.setattr(process, "_UNREAD", 1 << 16)
    async with _engine() as edge:
        edge.tell(Configure(configuration.dumps(settings)))
        edge.tell(Ask(1, "alive"))
        await edge.hear(Reply)
        if gone:
            edge.writer.transport.abort()
        else:
            edge.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
        while not edge.engine.done():
            publishes[0](Reply(0, b"x" * 65536))
            await asyncio.sleep(0)
        assert await edge.engine == 0
    assert ("engine.edge_stuck" in caplog.messages) is not gone
