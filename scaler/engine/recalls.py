"""The past of a fleet out of the store: some series at a time, so that newer things are heard meanwhile.

After a start ten thousand series are seen for the first time within seconds. What KEDA waits for is their load now,
which a few joint requests bring; reading their pasts and models takes a hundred times as long. Read by the batch, they
leave the event loop and the store to others in between, and the series of one batch ask their sources together for
what has come since.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler.engine.state import SeriesState

__all__ = ["AT_ONCE", "Recalls"]

AT_ONCE = 50
"""Series of one batch: as many as go in one request by default (`queries_together`)."""


class Recalls:
    """Reads in batches what the store has kept, in the order of asking. Used from the engine's loop.

    Args:
        read: Takes up the past and the models of one series.
        give_way: Awaited before each batch: to what goes before all of them.
        at_once: Series of one batch.
    """

    def __init__(
        self,
        read: Callable[[SeriesState], Awaitable[None]],
        *,
        give_way: Callable[[], Awaitable[None]],
        at_once: int = AT_ONCE,
    ) -> None:
        self._read = read
        self._give_way = give_way
        self._at_once = at_once
        self._waiting: deque[tuple[SeriesState, asyncio.Future[None]]] = deque()
        self._reading: asyncio.Task[None] | None = None

    async def recall(self, series: SeriesState) -> None:
        """Returns when the series' batch has been read; raises what reading this one has raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((series, done))
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._run(), name="recall")
        await done

    async def _run(self) -> None:
        while self._waiting:
            await self._give_way()
            count = min(self._at_once, len(self._waiting))
            await asyncio.gather(*(self._one(*self._waiting.popleft()) for _ in range(count)))

    async def _one(self, series: SeriesState, done: asyncio.Future[None]) -> None:
        if done.done():
            return  # it was let go of meanwhile
        try:
            await self._read(series)
        except Exception as error:  # noqa: BLE001  # whatever it was, it is for the one who waits to deal with
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(None)
        finally:
            done.cancel()  # changes nothing once it is done

    async def close(self) -> None:
        """Ends what is under way; who waits is cancelled."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        for _, done in self._waiting:
            done.cancel()
