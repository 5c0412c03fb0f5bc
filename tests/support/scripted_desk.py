"""A desk that answers what a test scripts: to inject what the real one only does on a bad day."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from scaler.decision import Decision, Source
from scaler.errors import ValueUnknown
from scaler.trigger import parse_trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.trigger import TriggerConfig

__all__ = ["ScriptedDesk", "decided"]


def decided(value: float, *, active: bool = True) -> Decision:
    """A decision to serve `value`."""
    return Decision(
        value=value,
        active=active,
        source=Source.OBSERVED,
        observed=value,
        observed_age=0.0,
        floor=value,
        would_serve=value,
    )


class ScriptedDesk:
    """Gives `answer`, or what `answers` holds for the trigger's query; raises it if it is an error.

    A None is a trigger seen for the first time: `decision` is asked, which waits for `arrival` and gives `first`.

    Attributes:
        asked: What was asked of it: "trigger", "peek", "peek, follows", "decision", "decision, follows".
    """

    def __init__(self, answer: Decision | Exception | None) -> None:
        self.answers: dict[str, Decision | Exception | None] = {}
        self.first: Decision | Exception = ValueUnknown("the load is not known yet")
        self.arrival = asyncio.Event()
        self.arrival.set()
        self.asked: list[str] = []
        self.waiting = 0
        self._answer = answer
        self._parsed: dict[tuple[str, str, frozenset[tuple[str, str]]], TriggerConfig] = {}
        self._changes = 0
        self._seen = 0  # the changes that had happened at the last look
        self._turn = asyncio.Condition()

    def trigger(self, namespace: str, name: str, metadata: Mapping[str, str]) -> TriggerConfig:
        self.asked.append("trigger")
        key = (namespace, name, frozenset(metadata.items()))
        if key not in self._parsed:
            self._parsed[key] = parse_trigger(namespace=namespace, name=name, metadata=metadata)
        return self._parsed[key]

    def forget(self) -> None:
        """Lets go of all triggers."""
        self._parsed.clear()

    def peek(self, trigger: TriggerConfig, *, follows: bool = False) -> Decision | None:
        self.asked.append("peek, follows" if follows else "peek")
        answer = self.answers.get(trigger.query, self._answer)
        self._seen = self._changes
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def decision(self, trigger: TriggerConfig, *, follows: bool = False) -> Decision:
        del trigger
        self.asked.append("decision, follows" if follows else "decision")
        self.waiting += 1
        try:
            await self.arrival.wait()
        finally:
            self.waiting -= 1
        if isinstance(self.first, Exception):
            raise self.first
        return self.first

    async def changed(self, trigger: TriggerConfig) -> None:
        del trigger
        async with self._turn:
            self._turn.notify_all()
            await self._turn.wait_for(lambda: self._seen < self._changes)

    async def change(self, answer: Decision | Exception | None) -> None:
        """Changes the answer, and waits until the one stream that is open has looked at it and waits for the next."""
        self._answer = answer
        self._changes += 1
        async with self._turn:
            self._turn.notify_all()
            await self._turn.wait_for(lambda: self._seen == self._changes)
