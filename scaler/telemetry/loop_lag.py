"""How late an event loop is: the first sign that something computes or blocks where it must not."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["watch_loop"]

_COUNTED_EVERY = 300  # looks: counting ten thousand tasks holds the loop up itself
_LONGEST = 10.0  # seconds that are made up for: a machine may have slept for hours


async def watch_loop(
    late: Callable[[float], None], *, tasks: Callable[[int], None] = lambda _: None, every: float = 0.1
) -> None:
    """Looks at the running loop every `every` seconds, until cancelled: often, for a minute to have a 99th percentile.

    Args:
        late: Told how many seconds the loop was late.
        tasks: Told, at the first look and now and then, how many tasks it has: one that is never ended shows there.
        every: Seconds between two looks.
    """
    loop = asyncio.get_running_loop()
    due = loop.time()
    for look in itertools.count():
        # looks that fell due while the loop was held up count, too: whoever came then has waited
        due = max(due + every, loop.time() - _LONGEST)
        await asyncio.sleep(max(0.0, due - loop.time()))
        late(max(0.0, loop.time() - due))
        if look % _COUNTED_EVERY == 0:
            tasks(len(asyncio.all_tasks()))
