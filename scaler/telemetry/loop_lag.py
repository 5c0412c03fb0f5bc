"""How late an event loop is: the first sign that something computes or blocks where it must not."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["watch_loop"]

_COUNTED_EVERY = 30  # looks: counting ten thousand tasks holds the loop up itself


async def watch_loop(
    late: Callable[[float], None], *, tasks: Callable[[int], None] = lambda _: None, every: float = 1.0
) -> None:
    """Looks at the running loop once per `every` seconds, until cancelled.

    Args:
        late: Told how many seconds the loop was late.
        tasks: Told, at the first look and now and then, how many tasks it has: one that is never ended shows there.
        every: Seconds between two looks.
    """
    loop = asyncio.get_running_loop()
    for look in itertools.count():
        due = loop.time() + every
        await asyncio.sleep(every)
        late(max(0.0, loop.time() - due))
        if look % _COUNTED_EVERY == 0:
            tasks(len(asyncio.all_tasks()))
