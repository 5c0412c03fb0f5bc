"""Turns that a few series share: whose turn it is has the forecasts of some that wait made beside its own.

Made in one pass, forecasts cost a part of what they cost one by one (`forecasting.together`). There are few in a turn,
because the engine's loop waits for its end.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scaler.engine.state import SeriesState
    from scaler.engine.turns import Turns

__all__ = ["MOST", "SharedTurns"]

MOST = 4
"""Series in a turn: a few milliseconds' worth."""


class Forecasts(Protocol):
    """Makes forecasts of these series, from the newest that is known of each."""

    def __call__(self, *series: SeriesState) -> None: ...


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
        self._waiting: dict[str, SeriesState] = {}

    @asynccontextmanager
    async def of(self, series: SeriesState) -> AsyncIterator[None]:
        """Waits for the series' turn, which ends with the block; within it, its forecasts have been made."""
        self._waiting[series.id] = series
        try:
            async with self._turns:
                if series.id in self._waiting:  # else an earlier turn has made them
                    del self._waiting[series.id]
                    company = list(islice(self._waiting.values(), self._most - 1))
                    for other in company:
                        del self._waiting[other.id]
                    self._forecast(series, *company)
                yield
        finally:
            self._waiting.pop(series.id, None)
