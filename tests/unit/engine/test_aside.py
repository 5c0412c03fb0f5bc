"""What is computed beside the loop leaves the loop free, and is charged for."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from scaler.engine.aside import Aside


async def test_the_loop_turns_while_something_is_computed() -> None:
    aside, begun, goes_on = Aside(), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def compute() -> str:
        loop.call_soon_threadsafe(begun.set)
        assert goes_on.wait(timeout=60)  # by the loop, which would never come to it if it waited itself
        return threading.current_thread().name

    found = asyncio.create_task(aside.run(compute))
    await begun.wait()
    goes_on.set()
    assert (await found).startswith("forecasts")
    aside.close()


async def test_one_thread_computes_one_after_the_other_and_counts_what_it_takes() -> None:
    aside, log = Aside(), list[int]()

    def compute(n: int) -> None:
        log.append(n + 0 * sum(range(20_000)))

    assert aside.spent == 0.0
    await asyncio.gather(*(aside.run(partial(compute, n)) for n in range(3)))
    assert log == [0, 1, 2]
    before = aside.spent
    assert before > 0.0
    with pytest.raises(ZeroDivisionError):
        await aside.run(lambda: sum(range(20_000)) / 0)
    assert aside.spent > before
    aside.close()
    with pytest.raises(RuntimeError):
        await aside.run(list)
