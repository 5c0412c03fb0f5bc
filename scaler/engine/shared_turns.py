"""Turns that some series share: those that wait when a turn begins are forecast in it together.

Made in one pass, forecasts cost a part of what they cost one by one (`forecasting.together`). How many share a turn is
bounded for what each of them makes the engine's loop do before it and after it, all at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from scaler.engine.state import SeriesState
    from scaler.engine.turns import Turns

__all__ = ["MOST", "SharedTurns"]

MOST = 16
"""Series in a turn: more hardly cost less each."""


class Forecasts(Protocol):
    """Makes forecasts of these series, from the newest that is known of each."""

    def __call__(self, *series: SeriesState) -> Awaitable[None]: ...


@dataclass(slots=True)
class _Waiting:
    """A series, and those who wait for its forecasts."""

    series: SeriesState
    told: list[asyncio.Future[None]] = field(default_factory=list)


class SharedTurns:
    """Used from one event loop.

    Args:
        turns: What is shared.
        forecast: Makes forecasts of some series.
        most: Series in a turn.
    """

    def __init__(self, turns: Turns, forecast: Forecasts, *, most: int = MOST) -> None:
        self._turns = turns
        self._forecast = forecast
        self._most = most
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._taking: asyncio.Task[None] | None = None

    async def forecast(self, series: SeriesState) -> None:
        """Returns when the series' turn has come and its forecasts have been made; raises what making them has."""
        made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(series.id, _Waiting(series)).told.append(made)
        if self._taking is None or self._taking.done():
            self._taking = asyncio.create_task(self._take_turns(), name="forecasts")
        await made

    async def _take_turns(self) -> None:
        while self._waiting:
            async with self._turns:
                some = self._next()
                if some:
                    await self._make(some)

    def _next(self) -> list[_Waiting]:
        """Who has waited for longest; who has been let go of meanwhile is passed over."""
        some: list[_Waiting] = []
        while self._waiting and len(some) < self._most:
            _, one = self._waiting.popitem(last=False)
            if not all(made.done() for made in one.told):
                some.append(one)
        return some

    async def _make(self, some: Sequence[_Waiting]) -> None:
        told = [made for one in some for made in one.told]
        try:
            await self._forecast(*(one.series for one in some))
        except Exception as error:  # noqa: BLE001  # whatever it was, it is for those who wait to deal with
            if len(some) > 1:  # it is one's, whose is not known
                for one in some:
                    await self._make([one])
                return
            for made in told:
                if not made.done():
                    made.set_exception(error)
        else:
            for made in told:
                if not made.done():
                    made.set_result(None)
        finally:
            for made in told:
                made.cancel()  # changes nothing once it is done

    async def close(self) -> None:
        """Ends what is under way; who waits is cancelled."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)
        for made in (made for one in self._waiting.values() for made in one.told):
            made.cancel()
