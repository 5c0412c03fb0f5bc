"""Several PromQL queries asked as one: a request costs both sides far more than the query in it.

Each query keeps its own answer by a label that only it gets::

    label_replace((sum(rate(a[2m]))
    ),"foresail_part","7f3a-0","","") or label_replace((sum(rate(b[2m]))
    ),"foresail_part","7f3a-1","","")

A query goes along with others only if it is a whole expression that gives a vector, by a parser of its own: no text of
one tenant may reach into the query of another. The line break ends a comment; the label's values cannot be guessed.

What a source refuses together it is asked in halves, until the query at fault is alone; that one is asked alone for an
hour. So is one that the source warns about: a warning does not say which query it is for. A source that does
not answer in time is asked for fewer at once.
"""

from __future__ import annotations

import functools
import secrets
import time
from typing import TYPE_CHECKING, TypeVar

from scaler.errors import NoData, SourceError, TooManySeries
from scaler.promql import NotPromQL, parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["LABEL", "Company", "fits_in"]

LABEL = "foresail_part"

_T = TypeVar("_T")
_ALONE_FOR = 3600.0  # seconds
_SEARCHES = 30  # requests a minute at most that look for queries with warnings: when all have one, the search is no use


class Company:
    """Which queries of one source are asked together. Shared by all that use its connections.

    Args:
        most: Queries in one request; 1: each is asked alone.
        nonce: Makes the label's values unguessable.
        monotonic: Seconds that only grow.
    """

    def __init__(self, *, most: int, nonce: str | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now_at_most = most
        self._nonce = nonce or secrets.token_hex(4)
        self._monotonic = monotonic
        self._alone: dict[str, float] = {}  # query -> until when
        self._searches = 0
        self._searches_since = monotonic()

    @property
    def most(self) -> int:
        """Queries in one request now."""
        return self._now_at_most

    def takes(self, query: str) -> bool:
        """Whether the query may be asked together with others."""
        if self._most == 1:
            return False
        until = self._alone.get(query)
        if until is not None:
            if self._monotonic() < until:
                return False
            del self._alone[query]
        return fits_in(query)

    def _may_search(self) -> bool:
        """Whether another request may be spent on finding whom a warning is for."""
        now = self._monotonic()
        if now - self._searches_since >= 60.0:
            self._searches, self._searches_since = 0, now
        self._searches += 1
        return self._searches <= _SEARCHES

    def query(self, queries: Sequence[str]) -> str:
        """One query for all of them."""
        return " or ".join(
            f'label_replace(({query}\n),"{LABEL}","{self._nonce}-{part}","","")' for part, query in enumerate(queries)
        )

    def part(self, labels: dict[str, str]) -> int | None:
        """Which query a series of the answer belongs to, whose label is taken off; None: to none of them."""
        nonce, _, number = labels.pop(LABEL, "").rpartition("-")
        return int(number) if nonce == self._nonce and number.isdecimal() else None

    async def ask(
        self,
        queries: Sequence[str],
        *,
        one: Callable[[str], Awaitable[_T]],
        many: Callable[[Sequence[str]], Awaitable[tuple[list[_T | SourceError], bool]]],
    ) -> list[_T | SourceError]:
        """The answer of each query, or what was wrong with it.

        Args:
            queries: Different ones, that `takes` has taken.
            one: Asks a query alone.
            many: Asks several; their answers, and whether the source warns.
        """
        found: dict[str, _T | SourceError] = {}
        waiting = [list(queries)]
        singled: list[str] = []
        while waiting:
            some = waiting.pop()
            if len(some) == 1:
                found[some[0]] = await _outcome(one(some[0]))
                singled.append(some[0])
                continue
            try:
                answers, warned = await many(some)
            except SourceError as error:
                if not error.transient:
                    waiting += _halves(some)
                    continue
                self._now_at_most = max(1, self._now_at_most // 2)
                answers, warned = [error] * len(some), False
            else:
                self._now_at_most = min(self._most, self._now_at_most + 1)
            if warned and self._may_search():
                waiting += _halves(some)
            else:
                found.update(zip(some, answers, strict=True))
        if len(queries) > 1:
            for query in [query for query in singled if _at_fault(found[query])] or singled:
                self._alone[query] = self._monotonic() + _ALONE_FOR
        return [found[query] for query in queries]


def _halves(queries: list[str]) -> list[list[str]]:
    middle = len(queries) // 2
    return [queries[:middle], queries[middle:]]


def _at_fault(answer: object) -> bool:
    """Whether a query that was singled out is the reason, by its own answer; others only stood beside it."""
    if isinstance(answer, SourceError):
        return not (answer.transient or isinstance(answer, NoData | TooManySeries))
    return bool(getattr(answer, "warning", ""))


async def _outcome(asked: Awaitable[_T]) -> _T | SourceError:
    try:
        return await asked
    except SourceError as error:
        return error


@functools.lru_cache(maxsize=65_536)
def fits_in(query: str) -> bool:
    """Whether the query is a whole expression and gives a vector."""
    try:
        parse(query)
        parse(f'label_replace(({query}\n),"{LABEL}","0","","")')
    except NotPromQL:
        return False
    return True
