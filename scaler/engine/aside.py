"""Computing beside the engine's loop: in one thread of its own, so that the loop goes on turning meanwhile.

Both share the interpreter, so nothing is computed faster by it; but what takes tens of milliseconds at once holds up
no question and no answer. The interpreter is handed over every `SWITCH_INTERVAL` (`sys.setswitchinterval`).
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SWITCH_INTERVAL", "Aside"]

_T = TypeVar("_T")

SWITCH_INTERVAL = 0.001
"""Seconds that a process with such a thread lets one thread have the interpreter for, while others wait for it."""


class Aside:
    """Used from one event loop; what is computed gets what nobody changes meanwhile."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forecasts")
        self._spent = 0.0

    @property
    def spent(self) -> float:
        """CPU seconds that the thread has taken for what it has computed."""
        return self._spent

    async def run(self, compute: Callable[[], _T]) -> _T:
        """What it computes, or raises. One after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._timed, compute)

    def _timed(self, compute: Callable[[], _T]) -> _T:
        began = time.thread_time()
        try:
            return compute()
        finally:
            self._spent += time.thread_time() - began

    def close(self) -> None:
        """What is under way ends by itself, and nothing after it begins."""
        self._thread.shutdown(wait=False, cancel_futures=True)
