"""What the store knew of triggers before a restart: the first answers, and where each trigger begins again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from scaler.decision import Snapshot
from scaler.engine.gating import is_gate_record
from scaler.engine.messages import Recalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.engine.gating import Gating
    from scaler.engine.persistence import Persistence
    from scaler.engine.state import SeriesState

__all__ = ["Remembered"]

_AT_ONCE = 200  # snapshots in one message: reading a fleet's in one go would hold up the edge


class Remembered:
    """The last-good snapshots of triggers that were not called yet. Used from the engine's loop.

    Args:
        persistence: Where they are kept.
        gating: Gets the gates' records, which are kept beside them.
    """

    def __init__(self, *, persistence: Persistence, gating: Gating) -> None:
        self._persistence = persistence
        self._gating = gating
        self._stored: dict[str, Snapshot] = {}

    async def tell(self, publish: Callable[[Recalled], None]) -> None:
        """Reads them and publishes them, some at a time."""
        kept = await self._persistence.snapshots()
        for first in range(0, len(kept), _AT_ONCE):
            told: list[Snapshot] = []
            for trigger_id, data in kept[first : first + _AT_ONCE]:
                if is_gate_record(trigger_id):
                    self._gating.remember(trigger_id, data)
                    continue
                # damaged, or written by another version: the source will tell
                with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    told.append(msgspec.msgpack.decode(data, type=Snapshot))
            self._stored.update((one.trigger, one) for one in told)
            if told:
                publish(Recalled(told))
            await asyncio.sleep(0)

    def warm(self, series: SeriesState, trigger_id: str) -> None:
        """Until the source answers, and the models that are recalled, all is as the store last knew it."""
        stored = self._stored.pop(trigger_id, None)
        if stored is None:
            return
        if series.observed is None:
            series.observed, series.observed_at = stored.observed, stored.observed_at
        trigger = series.triggers[trigger_id]
        trigger.recall_lead_time(stored.lead_time, stored.lead_time_origin)
        trigger.recalled = stored.outlook
