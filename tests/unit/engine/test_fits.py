"""The fit pool, with real worker processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from forecasting.registry import default_registry
from forecasting.serialise import Packed, loads
from forecasting.series import TimeSeries
from scaler.engine.fits import FitLost, FitPool, Priority
from scaler.engine.frames import encode_frame
from scaler.engine.messages import FitRequest, ForecastRequest, Rung
from scaler.engine.outsiders import forecast_of
from tests.support.keda_edge import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

GIB = 1 << 30
# speaks the worker's protocol: says that it has started on rung 1, then does what the test wants
FAULTY = """
import os, struct, sys, time
import msgspec
from scaler.engine.frames import encode_frame, read_frame
from scaler.engine.messages import FitRequest, FitStarted
read_frame(sys.stdin.buffer, FitRequest)
sys.stdout.buffer.write(encode_frame(FitStarted(1)))
sys.stdout.buffer.flush()
{then}
"""


# the worker as it is, with one forecaster more
PLUG_IN = """
import sys
from forecasting import registry
from scaler.engine import worker
class Plugin:
    def create(self, name, parameters):
        return self if name in ("greedy", "hanging") else known.create(name, parameters)
    def fit(self, series, **_):
        {fit}
known = registry.default_registry()
worker.default_registry = Plugin
raise SystemExit(worker.main())
"""
GREEDY = PLUG_IN.format(fit="import numpy; return numpy.ones((100_000, 100_000))")
HANGING = PLUG_IN.format(fit="while True: pass")


def odd(predict: str) -> tuple[str, ...]:
    """A worker that knows a forecaster whose `predict` is odd."""
    script = f"""
import sys
from dataclasses import dataclass
from typing import Any
import numpy as np
from forecasting import registry
from forecasting.forecast import Forecast
from forecasting.serialise import stored_as
from scaler.engine import worker
known = registry.default_registry()
@stored_as("odd/1")
@dataclass(frozen=True)
class Odd:
    context_length = 300
    def predict(self, context, *, horizon, levels):
        {predict}
Odd.fitted = None
class Plugin:
    def create(self, name, parameters):
        return self if name == "odd" else known.create(name, parameters)
    def fit(self, series, **how):
        Odd.fitted = known.create("naive").fit(series, **how)
        return Odd()
worker.default_registry = Plugin
raise SystemExit(worker.main())
"""
    return sys.executable, "-c", script, str(4 * GIB), "90"


def children() -> set[int]:
    """The fit workers among this process's children; a test before may have left a child of another kind."""
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return {int(child) for child in listed if b"scaler.engine" in Path(f"/proc/{child}/cmdline").read_bytes()}


def request(*ladder: str, values: tuple[float, ...] = (1.0,) * 300) -> FitRequest:
    return FitRequest(
        ladder=[Rung(name) for name in ladder],
        start=0,
        step=60,
        values=np.array(values, dtype="<f8").tobytes(),
        horizon=8,
        levels=[0.5, 0.9],
    )


def forecast_request(name: str) -> ForecastRequest:
    data = msgspec.msgpack.encode(Packed("odd/1", msgspec.Raw(msgspec.msgpack.encode({}))))
    return ForecastRequest(name, data, 0, 60, request().values, 8, [0.5, 0.9])


@pytest.fixture
async def pool() -> AsyncIterator[FitPool]:
    one = FitPool(workers=1, timeout=60.0, memory=4 * GIB)
    yield one
    await one.close()


@pytest.fixture
async def faulty() -> AsyncIterator[Callable[..., FitPool]]:
    pools: list[FitPool] = []

    def make(then: str, *, timeout: float = 60.0) -> FitPool:
        command = (sys.executable, "-c", FAULTY.format(then=then))
        pools.append(FitPool(workers=1, timeout=timeout, memory=4 * GIB, command=command))
        return pools[-1]

    yield make
    for one in pools:
        await one.close()


async def test_the_first_rung_that_can_be_fitted_comes_back(pool: FitPool) -> None:
    done = await pool.fit(lambda: request("naive"), priority=Priority.NEW)
    assert (done.rung, done.failures) == (0, [])
    default_registry()  # makes the stored kinds known to this process
    context = TimeSeries(0, 60, np.ones(300))
    forecast = loads(done.data).predict(context, horizon=3, levels=[0.9])
    assert forecast.peak.shape == (1, 3)


async def test_rungs_that_fail_say_why_and_the_next_is_taken(pool: FitPool) -> None:
    done = await pool.fit(lambda: request("no-such-method", "naive"), priority=Priority.NEW)
    assert done.rung == 1
    assert len(done.failures) == 1
    assert "no-such-method" in done.failures[0]


async def test_no_rung_left_is_an_answer_too(pool: FitPool) -> None:
    done = await pool.fit(lambda: request("naive", values=()), priority=Priority.NEW)
    assert (done.rung, done.data) == (-1, b"")
    assert len(done.failures) == 1


async def test_a_fit_that_hangs_is_killed_and_the_pool_goes_on(faulty: Callable[..., FitPool]) -> None:
    pool = faulty("time.sleep(3600)", timeout=2.0)
    with pytest.raises(FitLost, match=r"^ets did not finish within 2s$") as caught:
        await pool.fit(lambda: request("auto", "ets"), priority=Priority.NEW)
    assert caught.value.rung == 1
    with pytest.raises(FitLost):
        await pool.fit(lambda: request("auto", "ets"), priority=Priority.NEW)


async def test_a_worker_that_dies_names_the_rung_that_it_was_on(faulty: Callable[..., FitPool]) -> None:
    pool = faulty("os.kill(os.getpid(), 9)")
    with pytest.raises(FitLost, match=r"^ets: its worker died \(exit -9\)$"):
        await pool.fit(lambda: request("auto", "ets"), priority=Priority.NEW)


async def test_a_worker_that_speaks_no_frames_is_replaced(faulty: Callable[..., FitPool]) -> None:
    pool = faulty(r"sys.stdout.buffer.write(b'\xff' * 64); sys.stdout.buffer.flush(); sys.stdin.read()")
    with pytest.raises(FitLost, match="ets: its worker broke off: a frame of 4294967295 bytes"):
        await pool.fit(lambda: request("auto", "ets"), priority=Priority.NEW)


async def test_a_program_that_cannot_be_started() -> None:
    pool = FitPool(workers=1, timeout=60.0, memory=GIB, command=("/nonexistent/worker",))
    with pytest.raises(FitLost, match=r"^no fit worker: .*No such file"):
        await pool.fit(lambda: request("naive"), priority=Priority.NEW)
    await pool.close()


async def test_a_program_that_never_works_is_started_ever_less_often() -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    lost: list[None] = []
    pool = FitPool(
        workers=1,
        timeout=60.0,
        memory=GIB,
        command=("/nonexistent/worker",),
        sleep=sleep,
        on_restart=lambda: lost.append(None),
    )
    for _ in range(12):
        with pytest.raises(FitLost):
            await pool.fit(lambda: request("naive"), priority=Priority.NEW)
    await pool.close()
    assert pauses[:4] == [0.0, 1.0, 2.0, 4.0]
    assert max(pauses) == 30.0
    assert len(lost) == 12


async def test_a_worker_that_dies_between_two_fits_is_nobody_s_fault(pool: FitPool) -> None:
    await pool.fit(lambda: request("naive"), priority=Priority.NEW)
    (worker,) = children()
    os.kill(worker, signal.SIGKILL)
    done = await pool.fit(lambda: request("naive"), priority=Priority.NEW)
    assert (done.rung, done.failures) == (0, [])


async def test_a_request_that_cannot_be_made_fails_alone(pool: FitPool) -> None:
    def broken() -> FitRequest:
        raise ZeroDivisionError("a bug")

    with pytest.raises(FitLost, match="a bug"):
        await pool.fit(broken, priority=Priority.NEW)
    done = await pool.fit(lambda: request("naive"), priority=Priority.NEW)
    assert done.rung == 0


async def test_closing_ends_the_fit_under_way(faulty: Callable[..., FitPool]) -> None:
    pool = faulty("time.sleep(3600)")
    waiting = asyncio.create_task(pool.fit(lambda: request("auto", "ets"), priority=Priority.NEW))
    await eventually(lambda: bool(children()))
    workers = children()
    await pool.close()
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
    assert not workers & children()


async def test_a_fit_cancelled_under_way_changes_nothing_for_the_next(pool: FitPool) -> None:
    asked = asyncio.Event()

    def told() -> FitRequest:
        asked.set()
        return request("naive")

    first = asyncio.create_task(pool.fit(told, priority=Priority.NEW))
    await asked.wait()
    first.cancel()
    done = await pool.fit(lambda: request("naive"), priority=Priority.NEW)
    assert done.rung == 0


async def test_nobody_waits_for_a_cancelled_fit(pool: FitPool) -> None:
    made: list[str] = []

    def named(name: str) -> FitRequest:
        made.append(name)
        return request("naive")

    first = asyncio.create_task(pool.fit(lambda: named("first"), priority=Priority.NEW))
    second = asyncio.create_task(pool.fit(lambda: named("second"), priority=Priority.NEW))
    third = asyncio.create_task(pool.fit(lambda: named("third"), priority=Priority.NEW))
    await asyncio.sleep(0)
    assert pool.waiting == 3
    second.cancel()
    await first
    await third
    assert made == ["first", "third"]


async def test_the_new_go_first_then_the_drifted_then_the_stale_in_the_order_of_asking() -> None:
    now = 0.0
    made: list[str] = []
    turns: list[tuple[str, float]] = []
    pool = FitPool(
        workers=1,
        timeout=60.0,
        memory=4 * GIB,
        on_turn=lambda priority, waited: turns.append((priority.kind, waited)),
        monotonic=lambda: now,
    )

    def named(name: str) -> FitRequest:
        made.append(name)
        return request("naive")

    waiting = [asyncio.create_task(pool.fit(lambda: named("busy"), priority=Priority.PAST))]
    await eventually(lambda: made == ["busy"])  # the one worker is taken; all others wait
    asked = (Priority.PAST, Priority.STALE, Priority.NEW, Priority.DRIFTED, Priority.STALE, Priority.NEW)
    for number, priority in enumerate(asked):
        now = 10.0 * number
        waiting.append(asyncio.create_task(pool.fit(partial(named, f"{priority.kind} {number}"), priority=priority)))
        await asyncio.sleep(0)
    assert (pool.waiting, now) == (6, 50.0)
    now = 100.0
    await asyncio.gather(*waiting)
    await pool.close()
    assert made == ["busy", "new 2", "new 5", "drifted 3", "stale 1", "stale 4", "past 0"]
    waited = [0.0, 80.0, 50.0, 70.0, 90.0, 60.0, 100.0]
    assert turns == [
        (name.partition(" ")[0].replace("busy", "past"), each) for name, each in zip(made, waited, strict=True)
    ]


async def test_a_fit_that_eats_memory_steps_down_the_ladder() -> None:
    pool = FitPool(workers=1, timeout=60.0, memory=GIB, command=(sys.executable, "-c", GREEDY, str(GIB), "90"))
    done = await pool.fit(lambda: request("greedy", "naive"), priority=Priority.NEW)
    await pool.close()
    assert done.rung == 1
    assert done.failures[0].startswith("greedy failed: ")
    assert "MemoryError" in done.failures[0]


@pytest.mark.parametrize(
    ("predict", "failure"),
    [
        ("raise KeyError('x')", "odd failed: KeyError: 'x'"),
        ("return None", "odd predicted a NoneType, not a Forecast"),
        (
            "return self.fitted.predict(context, horizon=horizon + 1, levels=levels)",
            (
                "odd predicted origin, step, levels and horizon (17940, 60, (0.5, 0.9), 9), "
                "asked for were (17940, 60, (0.5, 0.9), 8)"
            ),
        ),
        (
            "x = np.full((2, 8), np.nan); return Forecast(context.end, 60, tuple(levels), x, x)",
            "values hold a number that is not finite",
        ),
        (
            "low = -np.ones((2, horizon)); return Forecast(context.end, 60, tuple(levels), low, low)",
            "odd predicted a negative load: -1",
        ),
    ],
)
async def test_a_plug_in_whose_first_forecast_is_none_steps_down_the_ladder(predict: str, failure: str) -> None:
    pool = FitPool(workers=1, timeout=60.0, memory=4 * GIB, command=odd(predict))
    done = await pool.fit(lambda: request("odd", "naive"), priority=Priority.NEW)
    await pool.close()
    assert (done.rung, done.failures) == (1, [failure])


async def test_a_plug_in_whose_forecast_hangs_is_killed_in_its_worker() -> None:
    pool = FitPool(workers=1, timeout=4.0, memory=4 * GIB, command=odd("while True: pass"))
    with pytest.raises(FitLost, match=r"^odd did not finish within 4s$"):
        await pool.fit(lambda: request("odd", "naive"), priority=Priority.NEW)
    await pool.close()


async def test_the_forecast_of_a_plug_in_is_made_by_a_worker() -> None:
    fit = "naive = known.create('naive').fit(context, horizon=horizon, levels=levels)"
    predict = "return naive.predict(context, horizon=horizon, levels=levels)"
    pool = FitPool(workers=1, timeout=60.0, memory=4 * GIB, command=odd(f"{fit}; {predict}"))
    done = await pool.forecast(forecast_request("odd"))
    await pool.close()
    assert forecast_of(forecast_request("odd"), done).origin == 60 * 299


async def test_a_plug_in_that_hangs_on_a_later_forecast_is_killed_in_its_worker() -> None:
    pool = FitPool(workers=1, timeout=4.0, memory=4 * GIB, command=odd("while True: pass"))
    with pytest.raises(FitLost, match=r"^odd gave no forecast within 4s$"):
        await pool.forecast(forecast_request("odd"))
    await pool.close()


async def test_a_plug_in_that_leaks_gets_a_new_worker_before_its_memory_is_gone() -> None:
    leak = "sys.leak = getattr(sys, 'leak', []) + [bytearray(600 << 20)]"
    script = PLUG_IN.format(fit=f"{leak}; return known.create('naive', {{}}).fit(series, **_)")
    command = (sys.executable, "-c", script, str(3 * GIB), "90")
    pool = FitPool(workers=1, timeout=60.0, memory=3 * GIB, command=command)
    workers = set()
    for _ in range(6):  # more than fits into the memory of one
        done = await pool.fit(lambda: request("greedy"), priority=Priority.NEW)
        assert (done.rung, done.failures) == (0, [])
        workers |= children()
    await pool.close()
    assert len(workers) > 1


def test_a_worker_whose_engine_was_killed_ends_by_itself() -> None:
    # no engine is there to kill it: the hanging fit ends at the worker's own deadline
    command = (sys.executable, "-c", HANGING, str(4 * GIB), "0.5")
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        worker.communicate(encode_frame(request("hanging")), timeout=60)
    finally:
        worker.kill()
    assert worker.returncode == -signal.SIGALRM


async def test_closing_cancels_what_waits() -> None:
    pool = FitPool(workers=1, timeout=60.0, memory=4 * GIB)
    waiting = [asyncio.create_task(pool.fit(lambda: request("naive"), priority=Priority.NEW)) for _ in range(3)]
    await asyncio.sleep(0)
    await pool.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
