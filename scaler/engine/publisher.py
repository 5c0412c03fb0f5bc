"""From the engine's state to the edge and the store: a snapshot of each trigger whenever something about it is new."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from scaler.engine.messages import Update
from scaler.engine.outlook import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.decision import Snapshot
    from scaler.engine.persistence import Persistence
    from scaler.engine.state import SeriesState
    from scaler.settings import Settings

__all__ = ["Publisher"]

_KEEP_EVERY = 60.0
"""Seconds between two snapshots of a trigger in the store that differ in the observed value alone: a fleet's, at every
look, were 40 MB a minute of writing."""


_MOST = 64
"""Snapshots in a message: to read hundreds at once would hold up the edge's answers."""


class Publisher:
    """Snapshots of one turn of the event loop go to the edge in few messages. Used from the engine's loop.

    Args:
        publish: Gives a message to the edge; never blocks.
        persistence: Keeps the last good ones.
        clock: Epoch seconds.
        settings: What is looked ahead.
    """

    def __init__(
        self,
        *,
        publish: Callable[[Update], None],
        persistence: Persistence,
        clock: Callable[[], float],
        settings: Settings,
    ) -> None:
        self._publish = publish
        self._persistence = persistence
        self._clock = clock
        self._settings = settings
        self._made: dict[str, Snapshot] = {}  # by trigger: only its newest counts

    def tell_of(self, series: SeriesState) -> None:
        """What is known of all triggers of the series, to the edge soon, to the store now and then."""
        now = self._clock()
        if not self._made:
            asyncio.get_running_loop().call_soon(self._send)
        for trigger_id, trigger in series.triggers.items():
            made = self._made[trigger_id] = snapshot(series, trigger, now=now, settings=self._settings)
            before, kept_at = trigger.kept
            rests = kept_at <= now < kept_at + _KEEP_EVERY
            new = made.outlook is not before.outlook or made.lead_time != before.lead_time if before else True
            if (new or not rests) and made.observed is not None and not made.error:
                trigger.kept = made, now
                self._persistence.add_snapshot(trigger_id, msgspec.msgpack.encode(made))

    def _send(self) -> None:
        snapshots, self._made = list(self._made.values()), {}
        for first in range(0, len(snapshots), _MOST):
            self._publish(Update(snapshots[first : first + _MOST]))
