"""The fit pool: spawned workers, a queue with priorities, a deadline for every fit."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from scaler.engine.frames import FrameReader, encode_frame
from scaler.engine.messages import FitDone, FitRequest, FromWorker
from scaler.errors import EngineLost
from scaler.words import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FitLost", "FitPool", "Fits", "Priority"]


class Priority:
    """Who is fitted first: a series that has no model, one whose load has drifted, one whose model is old."""

    NEW = 0
    DRIFTED = 1
    STALE = 2


class FitLost(Exception):
    """A fit did not come back: killed at its deadline, or its worker died. Attribute `rung`: where it was."""

    def __init__(self, text: str, *, rung: int) -> None:
        super().__init__(text)
        self.rung = rung


class Fits(Protocol):
    """What the engine asks of a pool; later also one that fits elsewhere."""

    async def fit(self, request: FitRequest, *, priority: int) -> FitDone:
        """Waits for its turn and its fit. Raises FitLost."""
        ...

    @property
    def waiting(self) -> int:
        """Fits in the queue."""
        ...


@dataclass(order=True)
class _Job:
    priority: int
    number: int
    request: FitRequest = field(compare=False)
    done: asyncio.Future[FitDone] = field(compare=False)


class FitPool:
    """A fixed number of worker processes, each started when it is first needed and replaced when it dies."""

    def __init__(
        self,
        *,
        workers: int,
        timeout: float,
        memory: int,
        command: Sequence[str] | None = None,
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        workers: Processes at most.
        timeout: Seconds for one fit.
        memory: Bytes of address space for one worker.
        command: What to run instead of the worker, to inject faults.
        on_restart: Called when a worker was lost.
        """
        self._timeout = timeout
        self._command = list(command or (sys.executable, "-m", "scaler.engine.worker", str(memory)))
        self._queue: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._on_restart = on_restart
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """Fits in the queue."""
        return self._queue.qsize()

    async def fit(self, request: FitRequest, *, priority: int) -> FitDone:
        """Waits for its turn and its fit.

        Raises:
            FitLost: The fit passed its deadline, or its worker died.
        """
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._work(), name=f"fit-{n}") for n in range(self._workers)]
        job = _Job(priority, next(self._numbers), request, asyncio.get_running_loop().create_future())
        await self._queue.put(job)
        return await job.done

    async def close(self) -> None:
        """Kills the workers; fits under way are cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait().done.cancel()

    async def _work(self) -> None:
        worker: _Worker | None = None
        try:
            while True:
                job = await self._queue.get()
                if job.done.cancelled():
                    continue
                try:
                    worker = worker or await _Worker.start(self._command)
                    result = await worker.fit(job.request, self._timeout)
                except (FitLost, OSError) as error:
                    lost = error if isinstance(error, FitLost) else FitLost(f"no fit worker: {error}", rung=0)
                    if worker is not None:
                        await worker.kill()
                    worker = None
                    self._on_restart()
                    if not job.done.done():
                        job.done.set_exception(lost)
                except asyncio.CancelledError:
                    job.done.cancel()
                    raise
                else:
                    if not job.done.done():
                        job.done.set_result(result)
        finally:
            if worker is not None:
                await worker.kill()


class _Worker:
    """One worker process, one fit at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise EngineLost("a fit worker was started without pipes")
        self._stdin = process.stdin
        self._frames: FrameReader[FromWorker] = FrameReader(process.stdout, FromWorker)

    @classmethod
    async def start(cls, command: Sequence[str]) -> _Worker:
        pipe = asyncio.subprocess.PIPE
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        return cls(
            await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, env={**os.environ, **one_thread}, start_new_session=True
            )
        )

    async def fit(self, request: FitRequest, timeout: float) -> FitDone:  # noqa: ASYNC109  # part of the pool's contract
        rung = 0
        try:
            async with asyncio.timeout(timeout):
                self._stdin.write(encode_frame(request))
                await self._stdin.drain()
                while True:
                    message = await self._frames.read()
                    if isinstance(message, FitDone):
                        return message
                    if message is None:
                        await self._process.wait()
                        raise FitLost(
                            f"{request.ladder[rung].forecaster}: its worker died (exit {self._process.returncode})",
                            rung=rung,
                        )
                    rung = message.rung
        except TimeoutError:
            name = request.ladder[rung].forecaster
            raise FitLost(f"{name} did not finish within {duration(timeout)}", rung=rung) from None
        except (EngineLost, ConnectionError) as error:
            raise FitLost(f"{request.ladder[rung].forecaster}: its worker broke off: {error}", rung=rung) from error

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
