"""KEDA's side of a load: its calls in its order and at its pace, whatever the server makes of them.

Arrivals are open-loop: a cycle starts when it is due, not when the one before it was answered, and its first call's
latency counts from that moment, so that a queue is seen for what it is.
"""

from __future__ import annotations

import asyncio
import random
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaler.pb.externalscaler_pb2 import GetMetricsResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.load.fleet import Requests
    from tests.bench.load.wire import Connection

__all__ = ["HPA", "POLL", "Latencies", "arrivals", "paced", "pairs", "sweep"]

POLL, HPA = 30.0, 15.0
"""Seconds between KEDA's own polls of a trigger, and between the HPA's syncs."""

_CYCLE = ("GetMetricSpec", "GetMetrics", "IsActive")
_PATIENCE = 60.0  # seconds that the last calls have after the last arrival


@dataclass(slots=True)
class Latencies:
    """What a client has seen; seconds."""

    values: array[float] = field(default_factory=lambda: array("d"))
    errors: int = 0
    late: array[float] = field(default_factory=lambda: array("d"))  # how late the client itself began its cycles

    def __len__(self) -> int:
        return len(self.values)

    def at(self, part: float) -> float:
        """The quantile of the latencies; 0.0 if there are none."""
        return _quantile(self.values, part)

    def late_at(self, part: float) -> float:
        """The quantile of the client's own lateness."""
        return _quantile(self.late, part)


def _quantile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def arrivals(
    members: int, *, seconds: float, every: Sequence[float] = (POLL, HPA), seed: int = 1
) -> list[tuple[float, int]]:
    """When the cycles of which member begin: each member has its own phases, and keeps to its paces."""
    chance = random.Random(seed)  # noqa: S311  # phases, no secrets
    found = []
    for member in range(members):
        for pace in every:
            at = chance.random() * pace
            while at < seconds:
                found.append((at, member))
                at += pace
    return sorted(found)


async def paced(
    connection: Connection, requests: Sequence[Requests], schedule: Sequence[tuple[float, int]]
) -> Latencies:
    """Plays the schedule of (second, member); returns when the last answer is there."""
    loop = asyncio.get_running_loop()
    seen = Latencies()
    began = loop.time() + 0.05
    at = 0
    while at < len(schedule):
        now = loop.time() - began
        while at < len(schedule) and schedule[at][0] <= now:
            due, member = schedule[at]
            seen.late.append(now - due)
            _Cycle(connection, requests[member], seen, loop).step(began + due)
            at += 1
        if at < len(schedule):
            await asyncio.sleep(max(0.0, schedule[at][0] - (loop.time() - began)))
    async with asyncio.timeout(_PATIENCE):
        await connection.idle()
    return seen


class _Cycle:
    """GetMetricSpec, then GetMetrics, then IsActive; a call that fails is repeated once, and ends the cycle."""

    __slots__ = ("_at", "_connection", "_loop", "_member", "_repeated", "_seen", "_since")

    def __init__(
        self, connection: Connection, member: Requests, seen: Latencies, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._connection = connection
        self._member = member
        self._seen = seen
        self._loop = loop
        self._at = 0
        self._repeated = False

    def step(self, since: float) -> None:
        self._since = since
        method = _CYCLE[self._at]
        message = self._member.metrics if method == "GetMetrics" else self._member.ref
        self._connection.call(method, message, self._answered)

    def _answered(self, message: bytes | None) -> None:
        now = self._loop.time()
        self._seen.values.append(now - self._since)
        if message is None:
            self._seen.errors += 1
            if self._repeated:
                return
            self._repeated = True
        else:
            self._at += 1
            self._repeated = False
        if self._at < len(_CYCLE):
            self.step(now)


async def pairs(
    connection: Connection, requests: Sequence[Requests], *, seconds: float, callers: int, first: int = 0
) -> int:
    """GetMetrics and IsActive of one member after the other by so many callers at once; how many pairs were good."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    members = _around(len(requests), first)
    good = 0

    async def caller() -> None:
        nonlocal good
        while loop.time() < until:
            member = requests[next(members)]
            value = await call(connection, "GetMetrics", member.metrics)
            active = await call(connection, "IsActive", member.ref)
            good += value is not None and active is not None

    await asyncio.gather(*(caller() for _ in range(callers)))
    return good


async def sweep(connection: Connection, requests: Sequence[Requests], *, callers: int, within: float) -> list[float]:
    """Asks every member until it has a value; when each had it, in seconds from now, in the order of time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    waiting = list(range(len(requests)))
    found: list[float] = []

    async def caller() -> None:
        while waiting and loop.time() - began < within:
            member = waiting.pop()
            message = await call(connection, "GetMetrics", requests[member].metrics)
            if message is not None:
                GetMetricsResponse.FromString(message)
                found.append(loop.time() - began)
            else:
                waiting.insert(0, member)
                await asyncio.sleep(0.05)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return sorted(found)


async def call(connection: Connection, method: str, message: bytes) -> bytes | None:
    """One call, awaited."""
    answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    connection.call(method, message, answer.set_result)
    return await answer


def _around(count: int, first: int) -> Iterator[int]:
    at = first
    while True:
        yield at % count
        at += 1
