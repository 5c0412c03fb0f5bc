"""What `external-push` triggers hold open: activity as it turns true, and specs.

StreamIsActive says `true` and nothing else. KEDA from 2.18 on ignores a `false`; before, a `false` put a
workload to sleep whatever its other triggers said. The poll does that job. A `true` is said once each time
the load turns active, and once when a stream opens on an active load: it may have turned active after the last
stream broke. Repeating it would keep the workload from ever scaling to zero.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from scaler.errors import EngineLost, LimitReached, SourceError, ValueUnknown, ValueUnservable
from scaler.keda.encoding import activity, metric_spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from scaler.keda.desk import Desk
    from scaler.pb.externalscaler_pb2 import GetMetricSpecResponse, IsActiveResponse
    from scaler.trigger import TriggerConfig

__all__ = ["REST", "Streams"]

_T = TypeVar("_T")

REST = 0.2
"""Seconds between two looks of a stream: bounds what a restless desk costs, and no workload wakes faster."""

_UNKNOWN = (ValueUnknown, ValueUnservable, SourceError, EngineLost)
"""What passes without the client's doing. To break the stream for it would run up KEDA's back-off."""


class _Ended(Exception):
    """The streams have been ended: no error, but how that reaches a stream that waits."""


class Streams:
    """The open streams: a bounded number, all ended together.

    Args:
        desk: Where decisions come from.
        most: Streams that may be open at once.
        rest: Seconds between two looks of a stream.
    """

    def __init__(self, desk: Desk, *, most: int, rest: float = REST) -> None:
        self._desk = desk
        self._most = most
        self._rest = rest
        self._open = 0
        self._ended = False
        self._waits: set[asyncio.Timeout] = set()

    @property
    def open(self) -> int:
        """Number of streams open now."""
        return self._open

    def end(self) -> None:
        """Ends all streams in good order, those to come as well: a clean end resets KEDA's back-off."""
        self._ended = True
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            wait.reschedule(now)

    async def active(self, trigger: TriggerConfig) -> AsyncIterator[IsActiveResponse]:
        """`true` each time the trigger turns active, for as long as the client listens.

        Raises:
            LimitReached: Too many streams are open, or triggers known.
            AddressRefused: The address policy refuses the trigger's source.
        """
        told = False
        with self._slot():
            while True:
                look = await self._unless_ended(lambda: self._look(trigger))
                if look is not None:
                    rises = look.result and not told
                    told = look.result
                    if rises:
                        yield look
                        continue  # nobody waited for a change while the client took it
                await self._unless_ended(lambda: self._change(trigger))

    async def specs(self, trigger: TriggerConfig) -> AsyncIterator[GetMetricSpecResponse]:
        """The trigger's spec, once: it depends on the metadata alone, which cannot change within a stream.

        Raises:
            LimitReached: Too many streams are open.
        """
        with self._slot():
            yield metric_spec(trigger)
            await self._unless_ended(asyncio.get_running_loop().create_future)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if self._open >= self._most:
            raise LimitReached(
                f"{self._open} streams are open, the most that this server takes: "
                "use `external` instead of `external-push` triggers, or raise max_streams in its settings"
            )
        self._open += 1
        try:
            yield
        except _Ended:
            pass
        finally:
            self._open -= 1

    async def _look(self, trigger: TriggerConfig) -> IsActiveResponse | None:
        """Whether the trigger is active; None if that is not known now."""
        try:
            decision = self._desk.peek(trigger)
            if decision is None:
                decision = await self._desk.decision(trigger)
            return activity(decision)
        except _UNKNOWN:
            return None

    async def _change(self, trigger: TriggerConfig) -> None:
        await self._desk.changed(trigger)
        await asyncio.sleep(self._rest)

    async def _unless_ended(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """What the work gives, unless the streams are ended first."""
        if self._ended:
            raise _Ended
        try:
            async with asyncio.timeout(None) as wait:
                self._waits.add(wait)
                return await work()
        except TimeoutError:
            if wait.expired():
                raise _Ended from None
            raise
        finally:
            self._waits.discard(wait)
