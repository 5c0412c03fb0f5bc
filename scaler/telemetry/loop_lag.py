"""How late an event loop is: the first sign that something computes or blocks where it must not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["watch_loop"]


async def watch_loop(
    late: Callable[[float], None], *, tasks: Callable[[int], None] = lambda _: None, every: float = 1.0
) -> None:
    """Looks at the running loop once per `every` seconds, until cancelled.

    Args:
        late: Told how many seconds the loop was late.
        tasks: Told how many tasks it has: one that is never ended shows there.
        every: Seconds between two looks.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        late(max(0.0, loop.time() - due))
        tasks(len(asyncio.all_tasks()))
