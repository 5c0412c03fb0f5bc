"""Forecasts take turns: one at a time, with rests between them, so that the rest of the machine goes on working.

Forecasts are computed beside the engine's loop (`aside.py`), and those of a fleet fall due within seconds of each
other; taking turns, they leave a share of the core to the loop and to other processes. When a fleet's forecasts take
longer than a step in all, each series waits longer for its turn and is forecast less often, from the newest samples
that it has then: the load shows in the forecasts' age.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["SHARE", "Turns"]

SHARE = 0.6
"""Part of a core that forecasts may take while others wait for their turn."""


async def _to_nobody() -> None:
    """There is nothing that goes before."""


class Turns:
    """`async with turns:` waits for its turn, which ends with the block. First come, first served.

    Args:
        share: Part of a core that turns may take, in (0, 1].
        give_way: Awaited before each turn begins: to what goes before all of them.
        monotonic: Seconds that only grow.
        spent: CPU seconds that turns have taken: on a busy machine one takes longer without taking more from others.
        sleep: How to rest.
    """

    def __init__(
        self,
        *,
        share: float = SHARE,
        give_way: Callable[[], Awaitable[None]] = _to_nobody,
        monotonic: Callable[[], float] = time.perf_counter,
        spent: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rest = 1.0 / share - 1.0  # seconds for each second of work
        self._give_way = give_way
        self._monotonic = monotonic
        self._spent = spent
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._began = 0.0
        self._rested_at = 0.0  # when the next turn may begin

    async def __aenter__(self) -> Self:
        await self._lock.acquire()
        try:
            wait = self._rested_at - self._monotonic()
            if wait > 0.0:
                await self._sleep(wait)
            await self._give_way()
        except BaseException:
            self._lock.release()
            raise
        self._began = self._spent()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._rested_at = self._monotonic() + self._rest * (self._spent() - self._began)
        self._lock.release()
