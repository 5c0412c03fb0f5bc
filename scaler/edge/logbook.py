"""The decision log as the edge has it: what was noted goes to the engine, what was kept comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from scaler.decision.change import Change
from scaler.engine.messages import Changes

if TYPE_CHECKING:
    from scaler.edge.desk import TriggerDesk
    from scaler.edge.link import EngineLink

__all__ = ["MOST_READ", "Logbook"]

MOST_READ = 5000
"""Changes in one answer: about a day of a busy ScaledObject."""

_WITHIN = 5.0  # seconds that the engine has for reading them

_ROWS: msgspec.msgpack.Decoder[list[tuple[str, msgspec.Raw]]] = msgspec.msgpack.Decoder(list[tuple[str, msgspec.Raw]])
_CHANGE = msgspec.msgpack.Decoder(Change)


class Logbook:
    """Reads the log of one ScaledObject."""

    def __init__(self, *, desk: TriggerDesk, link: EngineLink) -> None:
        self._desk = desk
        self._link = link

    async def read(self, namespace: str, name: str, *, since: float) -> list[tuple[str, Change]]:
        """The newest changes of its triggers since then (epoch seconds), each with the trigger's digest.

        Raises:
            EngineLost: The engine, which keeps them, does not answer.
        """
        if self._link.alive:
            self._link.tell(Changes(self._desk.take_changes()))  # up to this moment
        of = f"{namespace}/{name}/"
        answer = await self._link.ask("decisions", of, str(since), str(MOST_READ), within=_WITHIN)
        return [
            (trigger_id.removeprefix(of), change)
            for trigger_id, data in _ROWS.decode(answer)
            if (change := _known(data)) is not None
        ]


def _known(data: msgspec.Raw) -> Change | None:
    try:
        return _CHANGE.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # written by another version
