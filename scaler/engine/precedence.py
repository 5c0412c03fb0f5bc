"""First looks go first: while a load is being asked for that KEDA waits for, what takes long gives way for a moment."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Precedence"]


class Precedence:
    """Used from one event loop. A restart brings a fleet's first looks within seconds, each of them a few turns of the
    loop; a forecast in each of those turns made them take ten times as long.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._none = asyncio.Event()

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Others give way while this is open."""
        self._under_way += 1
        self._none.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._none.set()

    async def give_way(self, patience: float) -> None:
        """Returns when nothing that goes first is under way, or after so many seconds of patience.

        A first look takes part of a second, mostly; one that hangs slows others down, and no more.
        """
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._none.wait()
