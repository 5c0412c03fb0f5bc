"""How late an event loop is: the first sign that something computes or blocks where it must not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["watch_loop"]


async def watch_loop(late: Callable[[float], None], *, every: float = 1.0) -> None:
    """Tells `late` once per `every` seconds how many seconds the running loop was late, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        late(max(0.0, loop.time() - due))
