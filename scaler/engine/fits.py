"""The fit pool: spawned workers, a queue with priorities, a deadline for every fit."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import time
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

from scaler.engine.frames import FrameReader, encode_frame
from scaler.engine.messages import FitDone, Forecasted, ForecastRequest, FromWorker
from scaler.errors import EngineLost
from scaler.words import duration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from scaler.engine.messages import FitRequest, ToWorker

__all__ = ["FitLost", "FitPool", "Fits", "Forecasts", "Priority"]


_GRACE = 30.0  # seconds that a worker has beyond a fit's deadline before it ends itself
_LONGEST_PAUSE = 30.0


class Priority(IntEnum):
    """Who is fitted first: a series that has no model, one whose load has drifted, one whose model is old.

    Before all of them come forecasts of plug-ins, which take a moment; last come fits that are only tested, to learn
    from the past.
    """

    FORECAST = -1
    NEW = 0
    DRIFTED = 1
    STALE = 2
    PAST = 3

    @property
    def kind(self) -> str:
        """Its name, for metrics."""
        return self.name.lower()


class FitLost(Exception):
    """A fit did not come back: killed at its deadline, or its worker died.

    Attributes:
        rung: Where it was.
        started: Whether the worker had begun with it.
    """

    def __init__(self, text: str, *, rung: int, started: bool = True) -> None:
        super().__init__(text)
        self.rung = rung
        self.started = started


class Fits(Protocol):
    """What the engine asks of a pool; later also one that fits elsewhere."""

    async def fit(self, request: Callable[[], FitRequest], *, priority: Priority) -> FitDone:
        """Waits for its turn, asks for the request, and fits. Raises FitLost."""
        ...

    @property
    def waiting(self) -> int:
        """Fits in the queue."""
        ...


class Forecasts(Protocol):
    """Who is asked for the forecasts of plug-ins."""

    async def forecast(self, request: ForecastRequest) -> Forecasted:
        """Waits for its turn, and forecasts. Raises FitLost."""
        ...


@dataclass(order=True)
class _Job:
    priority: Priority
    number: int
    since: float = field(compare=False)
    request: Callable[[], ToWorker] = field(compare=False)
    done: asyncio.Future[Any] = field(compare=False)


class FitPool:
    """A fixed number of worker processes, each started when it is first needed and replaced when it dies."""

    def __init__(
        self,
        *,
        workers: int,
        timeout: float,
        memory: int,
        models: Sequence[str] = (),
        command: Sequence[str] | None = None,
        on_restart: Callable[[], None] = lambda: None,
        on_turn: Callable[[Priority, float], None] = lambda _priority, _waited: None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Args:
        workers: Processes at most.
        timeout: Seconds for one fit, or forecast.
        memory: Bytes of address space for one worker.
        models: Files of trained models, see `scaler.training.in_use.ModelFiles.arguments`.
        command: What to run instead of the worker, to inject faults.
        on_restart: Called when a worker was lost.
        on_turn: Called when a fit's turn has come: what it is for, and how many seconds it has waited.
        monotonic: Seconds that only grow.
        sleep: How to wait, between workers that are lost one after the other.
        """
        self._timeout = timeout
        alone = timeout + _GRACE  # a worker whose engine was killed in the middle of a fit ends by itself
        worker = (sys.executable, "-m", "scaler.engine.worker", str(memory), f"{alone:g}", *models)
        self._command = list(command or worker)
        self._sleep = sleep
        self._queue: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._on_restart = on_restart
        self._on_turn = on_turn
        self._monotonic = monotonic
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """Fits in the queue."""
        return self._queue.qsize()

    async def fit(self, request: Callable[[], FitRequest], *, priority: Priority) -> FitDone:
        """Waits for its turn and its fit.

        Args:
            request: Gives the request when its turn has come: a queue of ten thousand holds no histories.
            priority: The lowest is next, and of those the one that has waited longest.

        Raises:
            FitLost: The fit passed its deadline, or its worker died.
        """
        done: FitDone = await self._done(request, priority)
        return done

    async def forecast(self, request: ForecastRequest) -> Forecasted:
        """Waits for its turn and its forecast, before all fits.

        Raises:
            FitLost: It passed its deadline, or its worker died.
        """
        done: Forecasted = await self._done(lambda: request, Priority.FORECAST)
        return done

    async def _done(self, request: Callable[[], ToWorker], priority: Priority) -> Any:  # noqa: ANN401  # as the request is
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._work(), name=f"fit-{n}") for n in range(self._workers)]
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        job = _Job(priority, next(self._numbers), self._monotonic(), request, done)
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
        place = _Place(self._command, self._timeout)
        lost_in_a_row = 0
        try:
            while True:
                job = await self._queue.get()
                if job.done.done():
                    continue
                self._on_turn(job.priority, self._monotonic() - job.since)
                try:
                    result = await place.done(job.request())
                except asyncio.CancelledError:
                    job.done.cancel()
                    raise
                except Exception as error:  # noqa: BLE001  # whatever it was: one waits for this fit, others for the next
                    if not job.done.done():
                        job.done.set_exception(_as_lost(error))
                    await place.clear()
                    self._on_restart()
                    lost_in_a_row += 1
                    await self._sleep(_pause(lost_in_a_row))
                else:
                    lost_in_a_row = 0
                    if not job.done.done():
                        job.done.set_result(result)
        finally:
            await place.clear()


def _as_lost(error: Exception) -> FitLost:
    return error if isinstance(error, FitLost) else FitLost(f"no fit worker: {error}", rung=0)


def _pause(lost_in_a_row: int) -> float:
    """Seconds before another worker is started: a program that cannot run must not be started all the time."""
    return 0.0 if lost_in_a_row == 1 else min(_LONGEST_PAUSE, 0.25 * 2.0 ** min(lost_in_a_row, 16))


class _Place:
    """A place for one worker: started when it is first needed."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command = command
        self._timeout = timeout
        self._worker: _Worker | None = None

    async def done(self, request: ToWorker) -> FitDone | Forecasted:
        if self._worker is not None:
            try:
                return await self._worker.done(request, self._timeout)
            except FitLost as lost:
                if lost.started:
                    raise
                await self.clear()  # it had died since the last fit: no fault of this one
        self._worker = await _Worker.start(self._command)
        return await self._worker.done(request, self._timeout)

    async def clear(self) -> None:
        if self._worker is not None:
            await self._worker.kill()
        self._worker = None


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

    async def done(self, request: ToWorker, timeout: float) -> FitDone | Forecasted:  # noqa: ASYNC109  # the pool's contract
        rung, started = 0, False
        try:
            async with asyncio.timeout(timeout):
                self._stdin.write(encode_frame(request))
                await self._stdin.drain()
                while not isinstance(message := await self._frames.read(), (FitDone, Forecasted)):
                    if message is None:
                        raise FitLost(f"{_name(request, rung)}: {await self._death()}", rung=rung, started=started)
                    rung, started = message.rung, True
                return message
        except TimeoutError:
            failed = "gave no forecast" if isinstance(request, ForecastRequest) else "did not finish"
            raise FitLost(f"{_name(request, rung)} {failed} within {duration(timeout)}", rung=rung) from None
        except (EngineLost, ConnectionError) as error:
            text = f"{_name(request, rung)}: its worker broke off: {error}"
            raise FitLost(text, rung=rung, started=started) from error

    async def _death(self) -> str:
        await self._process.wait()
        return f"its worker died (exit {self._process.returncode})"

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def _name(request: ToWorker, rung: int) -> str:
    return request.forecaster if isinstance(request, ForecastRequest) else request.ladder[rung].forecaster
