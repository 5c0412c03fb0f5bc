"""Questions to sources: those of one moment that can share a request do, and only so many requests are under way.

A fleet's series are due at few moments (`scaler.engine.refresh` sees to that), so what is asked within one turn of the
event loop is what can be asked together. A lone question is asked as plain KEDA would ask it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeGuard, TypeVar
from weakref import WeakValueDictionary

from scaler.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from forecasting.series import TimeSeries
    from scaler.engine.state import SeriesState
    from scaler.sources.base import AsksMany, MetricSource, Sample
    from scaler.sources.company import Company

__all__ = ["Together"]

_T = TypeVar("_T")
# start, end and step of a range, zeros for an instant; whose questions they are: a tenant's slow query must not make
# others' time out with it
_Key: TypeAlias = "tuple[Company, int, int, int, str]"

_SHARE = 4  # one tenant has at most this part of a source's places: the rest is for the others

_MOST_POINTS = 3000  # of all ranges in one request: to read more at once would hold up the loop


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in each of these, taken one after the other: who waits for the first takes none of the second."""

    bounds: tuple[asyncio.Semaphore, ...]

    async def __aenter__(self) -> None:
        taken: list[asyncio.Semaphore] = []
        try:
            for bound in self.bounds:
                await bound.acquire()
                taken.append(bound)
        except BaseException:
            for bound in taken:
                bound.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        for bound in self.bounds:
            bound.release()


@dataclass(slots=True)
class _Group(Generic[_T]):
    """Questions that wait for the end of this turn of the loop."""

    ask: Callable[[Sequence[str]], Awaitable[list[_T | SourceError]]]
    place: _Place
    waiting: dict[str, list[asyncio.Future[_T]]] = field(default_factory=dict)


class Together:
    """Asks sources. Used from the engine's loop.

    Args:
        concurrency: Requests to one source at once: one that hangs does not hold up the others.
    """

    def __init__(self, *, concurrency: int) -> None:
        self._concurrency = concurrency
        self._places: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = (
            WeakValueDictionary()
        )  # of requests under way
        self._instants: dict[_Key, _Group[Sample]] = {}
        self._ranges: dict[_Key, _Group[TimeSeries]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def instant(self, series: SeriesState, query: str) -> Sample:
        """The newest value of a query to the series' source. Raises what the source does."""
        source = series.source
        if _asks_many(source) and source.company.takes(query):
            key = (source.company, 0, 0, 0, series.tenant)
            return await self._join(self._instants, key, query, source.instant_many, self._place(series))
        async with self._place(series):
            return await source.instant(query)

    async def range(self, series: SeriesState, *, start: int, end: int) -> TimeSeries:
        """The series' samples on its grid. Raises what the source does."""
        source, step = series.source, series.step
        alone = 2 * _points(start, end, step) > _MOST_POINTS
        if _asks_many(source) and not alone and source.company.takes(series.query):
            many = source.range_many

            async def ask(queries: Sequence[str]) -> list[TimeSeries | SourceError]:
                return await many(queries, start=start, end=end, step=step)

            key = (source.company, start, end, step, series.tenant)
            return await self._join(self._ranges, key, series.query, ask, self._place(series))
        async with self._place(series):
            return await source.range(series.query, start=start, end=end, step=step)

    def _place(self, series: SeriesState) -> _Place:
        """The bound on requests to the series' source, and within it on those of one tenant, if there are any."""
        of_source = self._places_of(series.source_label, "", self._concurrency)
        if not series.tenant:
            return _Place((of_source,))
        share = max(1, self._concurrency // _SHARE)
        return _Place((self._places_of(series.source_label, series.tenant, share), of_source))

    def _places_of(self, source: str, tenant: str, most: int) -> asyncio.Semaphore:
        """They live as long as somebody waits or asks."""
        place = self._places.get((source, tenant))
        if place is None:
            place = self._places[source, tenant] = asyncio.Semaphore(most)
        return place

    async def _join(
        self,
        groups: dict[_Key, _Group[_T]],
        key: _Key,
        query: str,
        ask: Callable[[Sequence[str]], Awaitable[list[_T | SourceError]]],
        place: _Place,
    ) -> _T:
        loop = asyncio.get_running_loop()
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(ask, place)
            loop.call_soon(self._send, groups, key)
        answer: asyncio.Future[_T] = loop.create_future()
        group.waiting.setdefault(query, []).append(answer)
        return await answer

    def _send(self, groups: dict[_Key, _Group[_T]], key: _Key) -> None:
        group, (company, *span, _) = groups.pop(key), key
        most = min(company.most, _MOST_POINTS // _points(*span))
        waiting = list(group.waiting.items())
        for first in range(0, len(waiting), most):
            part = dict(waiting[first : first + most])
            task = asyncio.create_task(_ask(group, part))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            _end_unwanted(task, [answer for answers in part.values() for answer in answers])


def _points(start: int, end: int, step: int) -> int:
    """Of a range, or of an instant."""
    return (end - start) // step + 1 if step else 1


def _asks_many(source: MetricSource) -> TypeGuard[AsksMany]:
    """Whether it can: by one name of the protocol's, for `isinstance` looks for all of them at each question."""
    return hasattr(source, "instant_many")


async def _ask(group: _Group[_T], waiting: dict[str, list[asyncio.Future[_T]]]) -> None:
    """One request, and to each who waits its own answer."""
    try:
        async with group.place:
            results: list[_T | SourceError] = await group.ask(list(waiting))
    except Exception as error:  # noqa: BLE001  # whatever it was, it is for those who wait to deal with
        for answers in waiting.values():
            for answer in answers:
                if not answer.done():
                    answer.set_exception(error)
        return
    for answers, result in zip(waiting.values(), results, strict=True):
        for answer in answers:
            if answer.done():
                continue
            if isinstance(result, SourceError):
                answer.set_exception(result)
            else:
                answer.set_result(result)


def _end_unwanted(task: asyncio.Task[None], answers: Sequence[asyncio.Future[_T]]) -> None:
    """A request that nobody waits for any more is not made."""

    def given_up(_: asyncio.Future[_T]) -> None:
        if all(answer.cancelled() for answer in answers):
            task.cancel()

    for answer in answers:
        answer.add_done_callback(given_up)
