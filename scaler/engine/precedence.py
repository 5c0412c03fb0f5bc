"""First looks go first: while a load is being asked for that KEDA waits for, what takes long gives way for a moment."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Precedence"]

_PATIENCE = 0.25
"""Seconds. A first look takes part of one, mostly; one that hangs slows the others' forecasts down, and no more."""


class Precedence:
    """Used from one event loop. A restart brings a fleet's first looks within seconds, each of them a few turns of the
    loop; a forecast in each of those turns made them take ten times as long.

    Args:
        patience: Seconds that one who gives way waits at most.
    """

    def __init__(self, *, patience: float = _PATIENCE) -> None:
        self._patience = patience
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

    async def give_way(self) -> None:
        """Returns when nothing that goes first is under way, or patience is over."""
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await self._none.wait()
