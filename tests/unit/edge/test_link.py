"""The link to a real process on the other side: the engine as it is, and ones that misbehave."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scaler.edge.desk import TriggerDesk
from scaler.edge.link import EngineLink
from scaler.engine.messages import Register
from scaler.errors import AddressRefused, EngineLost, ValueUnknown
from scaler.settings import Settings
from tests.support.keda_edge import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

ENGINE = (sys.executable, "-m", "scaler.engine.process")
# reads the socket's number as the engine does, then does what the test wants
OTHER = """
import os, signal, socket, sys, time
import msgspec
from scaler.decision import Snapshot
from scaler.engine.frames import encode_frame
from scaler.engine.messages import Evicted, Recalled, Refusal, Refused, Reply, Update
edge = socket.socket(fileno=int(sys.argv[1]))
{then}
"""
UNTIL_ASKED = """
heard = b""
while b"Ask" not in heard:
    heard += edge.recv(65536)
"""
METADATA = {"serverAddress": "http://127.0.0.1:9", "query": "q", "threshold": "1"}


@dataclass
class Bench:
    """A link, its desk, and what was heard of lost engines."""

    link: EngineLink
    desk: TriggerDesk
    lost: list[str] = field(default_factory=list)

    def engine(self) -> int | None:
        """The process id of the engine."""
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        for child in children:
            if "scaler.engine.process" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
        return None


@asynccontextmanager
async def linked(
    tmp_path: Path,
    command: Sequence[str] = ENGINE,
    *,
    beat: float = 0.05,
    unread: int = 1 << 26,
) -> AsyncIterator[Bench]:
    settings = Settings(data_dir=tmp_path, first_answer_wait=60.0, log_level="error", observe_interval=1.0)
    lost: list[str] = []
    link = EngineLink(
        command=command,
        settings=settings,
        on_lost=lost.append,
        beat=beat,
        alive_within=60.0,
        unread=unread,
    )
    desk = TriggerDesk(settings=settings, tell=link.tell)
    running = asyncio.create_task(link.run(desk))
    try:
        yield Bench(link, desk, lost)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaler.edge.link._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("scaler.edge.link._LONGEST_PAUSE", 0.02)
    monkeypatch.setattr("scaler.edge.link._STOP_WITHIN", 10.0)


def other(then: str) -> tuple[str, ...]:
    return (sys.executable, "-c", OTHER.format(then=then))


class TestTheEngineAsItIs:
    async def test_it_is_told_of_triggers_and_answers_questions(self, tmp_path: Path) -> None:
        async with linked(tmp_path) as bench:
            trigger = bench.desk.trigger("shop", "web", METADATA)
            with pytest.raises(AddressRefused, match=r"^address 127\.0\.0\.1:9 is refused: it is a loopback address"):
                await bench.desk.decision(trigger)
            assert b"foresail_engine" in await bench.link.ask("metrics", within=60.0)
            assert await bench.link.ask("anything", within=60.0) == b""
            assert bench.lost == []

    async def test_it_gives_way_to_the_edge_which_answers_calls(self, tmp_path: Path) -> None:
        async with linked(tmp_path) as bench:
            ours = os.getpriority(os.PRIO_PROCESS, 0)

            def gives_way() -> bool:
                engine = bench.engine()
                return engine is not None and os.getpriority(os.PRIO_PROCESS, engine) > ours

            await eventually(gives_way)

    async def test_killed_it_is_started_again_and_told_of_every_trigger(self, tmp_path: Path) -> None:
        async with linked(tmp_path) as bench:
            trigger = bench.desk.trigger("shop", "web", METADATA | {"serverAddress": "http://prometheus.invalid:9"})
            with pytest.raises(ValueUnknown):
                await bench.desk.decision(trigger)
            await bench.link.answered()
            await eventually(lambda: bench.link.answering)
            first = bench.engine()
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await eventually(lambda: bench.lost == ["the engine process ended (exit -9)"])
            await eventually(lambda: not bench.link.answering)
            await eventually(lambda: bench.link.alive)
            series = b""
            while b"foresail_series 1.0" not in series:
                try:
                    series = await bench.link.ask("metrics", within=60.0)
                except EngineLost:
                    await asyncio.sleep(0)
            assert bench.engine() != first

    async def test_stopped_it_is_noticed_and_replaced(self, tmp_path: Path) -> None:
        async with linked(tmp_path) as bench:
            await eventually(lambda: bench.link.alive)
            await bench.link.ask("alive", within=60.0)  # it is up: on a busy machine that takes a while
            bench.link._alive_within = 0.5
            engine = bench.engine()
            assert engine is not None
            os.kill(engine, signal.SIGSTOP)  # what a deadlock looks like from outside
            await eventually(lambda: bool(bench.lost))
            assert bench.lost == ["the engine process gave no sign of life within 0.5s"]
            bench.link._alive_within = 60.0
            await eventually(lambda: bench.link.alive and bench.engine() not in {None, engine})

    async def test_it_ends_with_the_link(self, tmp_path: Path) -> None:
        async with linked(tmp_path) as bench:
            await eventually(lambda: bench.link.alive)
            await bench.link.ask("alive", within=60.0)
            assert bench.engine() is not None
        assert bench.engine() is None
        with pytest.raises(EngineLost, match="being started again"):
            await bench.link.ask("alive", within=1.0)
        bench.link.tell(Register("shop/web/0", "shop", "web", {}))  # nobody is there: nothing happens


class TestOthers:
    async def test_an_engine_whose_start_is_cut_short_is_not_left_behind(self, tmp_path: Path) -> None:
        async with linked(tmp_path, other("edge.recv(1 << 20); edge.recv(1)")) as bench:
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # the link has begun, and has no engine yet
            assert not bench.link.alive
        assert bench.link._process is not None
        assert bench.link._process.returncode is not None

    async def test_nobody_is_given_up_where_nobody_is(self, tmp_path: Path) -> None:
        link = EngineLink(command=ENGINE, settings=Settings(data_dir=tmp_path), on_lost=print)
        link._give_up("nobody is there")
        assert not link.alive

    async def test_a_program_that_cannot_be_started_is_tried_again(self, tmp_path: Path) -> None:
        async with linked(tmp_path, ("/nonexistent/engine",)) as bench:
            await eventually(lambda: len(bench.lost) >= 3)
            assert "No such file" in bench.lost[0]
            assert not bench.link.alive

    async def test_a_broken_frame(self, tmp_path: Path) -> None:
        async with linked(tmp_path, other(r"edge.sendall(b'\x03\x00\x00\x00abc'); edge.recv(1)")) as bench:
            await eventually(lambda: len(bench.lost) >= 2)
            assert bench.lost[0].startswith("a broken frame on the local socket: ")

    async def test_what_nobody_foresaw_ends_no_link(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(_: object) -> None:
            raise KeyError("a bug")

        async with linked(tmp_path, other("edge.sendall(encode_frame(Evicted([]))); edge.recv(1)")) as bench:
            monkeypatch.setattr(bench.desk, "apply", broken)
            await eventually(lambda: len(bench.lost) >= 2)
            assert bench.lost[0] == "unforeseen: KeyError: 'a bug'"

    async def test_one_that_does_not_read_fills_no_memory(self, tmp_path: Path) -> None:
        async with linked(tmp_path, other("time.sleep(600)"), unread=1 << 20) as bench:
            await eventually(lambda: bench.link.alive)
            message = Register("shop/web/0", "shop", "web", {"query": "q" * 100_000})
            while not bench.lost:
                bench.link.tell(message)
                await asyncio.sleep(0)
            assert bench.lost[0].startswith("the engine process does not read: 1")

    async def test_a_question_to_one_that_dies_is_answered_at_once(self, tmp_path: Path) -> None:
        async with linked(tmp_path, other(UNTIL_ASKED), beat=60.0) as bench:
            await eventually(lambda: bench.link.alive)
            with pytest.raises(EngineLost, match="has ended before it answered"):
                await bench.link.ask("metrics", within=600.0)

    async def test_a_question_that_is_not_answered_has_an_end(self, tmp_path: Path) -> None:
        async with linked(tmp_path, other("edge.recv(1 << 20); time.sleep(600)"), beat=60.0) as bench:
            await eventually(lambda: bench.link.alive)
            with pytest.raises(EngineLost, match=r"^the engine process did not answer within 0s$"):
                await bench.link.ask("metrics", within=0.0)
            bench.link._give_up("the test is over")

    async def test_answers_that_nobody_waits_for_are_dropped(self, tmp_path: Path) -> None:
        then = "edge.sendall(encode_frame(Reply(999, b'')) + encode_frame(Evicted(['shop/web/0']))); edge.recv(1)"
        async with linked(tmp_path, other(then)) as bench:
            await eventually(lambda: bool(bench.lost))
            assert bench.lost[0].startswith("the engine process ended")

    async def test_one_that_does_not_end_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("scaler.edge.link._STOP_WITHIN", 0.0)
        async with linked(tmp_path, other("time.sleep(600)"), beat=60.0) as bench:
            await eventually(lambda: bench.link.alive)
            process = bench.link._process
        assert process is not None
        assert process.returncode == -signal.SIGKILL
