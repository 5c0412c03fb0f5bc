"""The engine process: started, listened to, restarted when it dies, stopped with the edge."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from typing import TYPE_CHECKING

from scaler.engine import configuration
from scaler.engine.frames import FrameReader, encode_frame
from scaler.engine.messages import Ask, Called, Changes, Configure, FromEngine, Reply
from scaler.errors import EngineLost
from scaler.words import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler.edge.desk import TriggerDesk
    from scaler.engine.messages import ToEngine
    from scaler.settings import Settings

__all__ = ["EngineLink"]

_FIRST_PAUSE = 0.2  # seconds before an engine that died is started again; doubles while it keeps dying
_LONGEST_PAUSE = 15.0
_STEADY = 60.0  # seconds after which an engine counts as steady, and the pause starts anew
_TELL_CALLED = 5.0
_STOP_WITHIN = 10.0
_ALIVE_WITHIN = 60.0  # seconds without a sign of life after which an engine counts as hung; fits run elsewhere
_HELLO = 0  # number of the first question to an engine; nobody waits for its answer
_UNREAD = 64 * 1024 * 1024  # bytes that an engine may leave unread before it counts as hung: 10,000 triggers are 10 MB


class EngineLink:
    """Runs one engine process at a time. The edge answers from its snapshots whether or not one is there."""

    def __init__(
        self,
        *,
        command: Sequence[str],
        settings: Settings,
        on_lost: Callable[[str], None],
        beat: float = _TELL_CALLED,
        alive_within: float = _ALIVE_WITHIN,
        unread: int = _UNREAD,
    ) -> None:
        """Args:
        command: What to run; the number of the socket's file descriptor is added at the end.
        settings: What every engine is told first.
        on_lost: Told when an engine was lost, with the reason in words.
        beat: Seconds between telling the engine which triggers are in use and asking for a sign of life.
        alive_within: Seconds that an engine has for its sign of life.
        unread: Bytes that an engine may leave unread.
        """
        self._command = list(command)
        self._beat = beat
        self._alive_within = alive_within
        self._unread = unread
        self._hung = ""  # why the engine was given up, in words
        self._leaving = False  # no further engine is wanted
        self._configuration = encode_frame(Configure(configuration.dumps(settings)))
        self._on_lost = on_lost
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._answering = False  # the engine that is there has said something: it has done with starting
        self._answered = asyncio.Event()  # any engine ever has

    @property
    def alive(self) -> bool:
        """Whether an engine is connected."""
        return self._writer is not None

    @property
    def answering(self) -> bool:
        """Whether the engine that is connected has done with starting: it takes up triggers and asks sources."""
        return self._answering

    async def answered(self) -> None:
        """Returns when the first engine has done with starting, and all that the store had kept is known here."""
        await self._answered.wait()

    def tell(self, message: ToEngine) -> None:
        """Gives a message to the engine; it is lost when there is none, a new engine is told everything anew."""
        if self._writer is None or self._hung:
            return
        self._writer.write(encode_frame(message))
        unread = self._writer.transport.get_write_buffer_size()
        if unread > self._unread:
            self._give_up(f"the engine process does not read: {unread} bytes wait for it")

    def _give_up(self, reason: str) -> None:
        """Kills an engine that is there but does not work; the loss of its socket does the rest."""
        self._hung = reason
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def ask(self, what: str, *arguments: str, within: float) -> bytes:
        """The engine's answer to a question.

        Raises:
            EngineLost: There is no engine, or it does not answer within that many seconds.
        """
        if self._writer is None:
            raise EngineLost("the engine process is being started again: what it knows is not available now")
        number = next(self._numbers)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self.tell(Ask(number, what, list(arguments)))
        try:
            async with asyncio.timeout(within):
                return await answer
        except TimeoutError:
            raise EngineLost(f"the engine process did not answer within {duration(within)}") from None
        finally:
            del self._asked[number]

    async def run(self, desk: TriggerDesk) -> None:
        """Keeps an engine running and the desk filled, until cancelled."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            began = loop.time()
            once = asyncio.create_task(self._run_once(desk))
            try:
                reason = await asyncio.shield(once)
            except asyncio.CancelledError:
                # to the end, and in good order: an engine is neither left behind nor cut short
                self._leaving = True
                self._tell_changes(desk)  # the last of them
                if self._writer is not None:
                    self._writer.transport.abort()
                await asyncio.gather(once, return_exceptions=True)
                raise
            except (OSError, EngineLost) as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001  # an edge without this task would never have an engine again
                reason = f"unforeseen: {type(error).__name__}: {error}"
            self._on_lost(self._hung or reason)
            pause = _FIRST_PAUSE if loop.time() - began > _STEADY else min(_LONGEST_PAUSE, pause * 2)
            await asyncio.sleep(pause)

    async def _run_once(self, desk: TriggerDesk) -> str:
        """Starts an engine and serves it until it is gone; the reason why it went."""
        ours, theirs = socket.socketpair()
        self._hung = ""
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                )
        except BaseException:
            ours.close()
            raise
        self._process = process
        try:
            await self._converse(ours, desk)
        finally:
            await _stop(process)
        return f"the engine process ended (exit {process.returncode})"

    async def _converse(self, ours: socket.socket, desk: TriggerDesk) -> None:
        """Tells the engine everything and listens to it until it is gone."""
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        beating = asyncio.create_task(self._keep_told(desk))
        try:
            writer.write(self._configuration)
            self._writer = writer
            await desk.register_all()
            self.tell(Ask(_HELLO, "alive"))
            if not self._leaving:
                await self._listen(reader, desk)
        finally:
            self._writer = None
            self._answering = False
            beating.cancel()
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(EngineLost("the engine process has ended before it answered"))
            writer.transport.abort()  # not close: that would wait for an engine that does not read

    async def _listen(self, reader: asyncio.StreamReader, desk: TriggerDesk) -> None:
        frames: FrameReader[FromEngine] = FrameReader(reader, FromEngine)
        while (message := await frames.read()) is not None:
            if isinstance(message, Reply):
                self._answering = True  # the engine answers no question before it has told what the store has kept
                self._answered.set()
                answer = self._asked.get(message.number)
                if answer is not None and not answer.done():
                    answer.set_result(message.data)
            else:
                desk.apply(message)

    async def _keep_told(self, desk: TriggerDesk) -> None:
        """Tells the engine which triggers are in use, and sees to it that it is alive."""
        while True:
            await asyncio.sleep(self._beat)
            called = desk.take_called()
            if called:
                self.tell(Called(called))
            self._tell_changes(desk)
            try:
                await self.ask("alive", within=self._alive_within)
            except EngineLost:
                self._give_up(f"the engine process gave no sign of life within {duration(self._alive_within)}")
                return

    def _tell_changes(self, desk: TriggerDesk) -> None:
        changes = desk.take_changes()
        if changes:
            self.tell(Changes(changes))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Lets the engine end by itself (its socket is closed), then makes it."""
    try:
        async with asyncio.timeout(_STOP_WITHIN):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
