"""The decision log: what the edge noted, kept in the store, and read again when someone asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from scaler.engine.messages import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from scaler.decision.change import Change
    from scaler.engine.messages import Ask
    from scaler.engine.persistence import Persistence

__all__ = ["DecisionLog"]


class DecisionLog:
    """Writes at once what it is given: the edge gathers for some seconds. Reads what was given before."""

    def __init__(self, persistence: Persistence) -> None:
        self._persistence = persistence
        self._under_way: set[asyncio.Task[None]] = set()

    def add(self, changes: Sequence[tuple[str, Change]]) -> None:
        """Keeps changes, each with its trigger's id."""
        encode = msgspec.msgpack.Encoder().encode
        rows = [(trigger_id, change.at, encode(change)) for trigger_id, change in changes]
        self._start(self._persistence.add_decisions(rows))

    def answer(self, ask: Ask, publish: Callable[[Reply], None]) -> None:
        """Answers the edge's question when the store has."""

        async def read() -> None:
            of, since, most = ask.arguments
            publish(Reply(ask.number, msgspec.msgpack.encode(await self.read(of, float(since), int(most)))))

        self._start(read())

    async def read(self, of: str, since: float, most: int) -> list[tuple[str, msgspec.Raw]]:
        """The newest changes, in the order of time, each with its trigger's id; encoded as they were kept.

        Args:
            of: What the ids of the triggers begin with: `namespace/name/`.
            since: Epoch seconds.
            most: So many at most.
        """
        rows = await self._persistence.decisions(of, since=since, most=most)
        return [(trigger_id, msgspec.Raw(data)) for trigger_id, _, data in rows]

    async def settle(self) -> None:
        """Returns when nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
