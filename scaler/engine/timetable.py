"""What is due when: a heap of moments, one per job."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import sys
from functools import lru_cache
from typing import Generic, TypeVar

__all__ = ["Timetable", "spread"]

_J = TypeVar("_J")


@lru_cache(maxsize=65536)  # 10 MB; it is asked for each series every few seconds
def spread(name: str) -> float:
    """A fixed number in [0, 1) for a name: spreads the work of many over time, the same in every replica."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), "big") / 2**48


class Timetable(Generic[_J]):
    """Jobs and their due times; setting a job again moves it."""

    def __init__(self) -> None:
        self._due: dict[_J, float] = {}
        self._heap: list[tuple[float, int, _J]] = []
        self._order = itertools.count()

    def set(self, job: _J, due: float) -> None:
        """Makes the job due at this time (epoch seconds) and at no other."""
        self._due[job] = due
        heapq.heappush(self._heap, (due, next(self._order), job))

    def drop(self, job: _J) -> None:
        """Takes the job off, if it is on."""
        self._due.pop(job, None)

    def next_due(self) -> float | None:
        """When the next job is due; None if there is none."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float, *, most: int = sys.maxsize) -> list[_J]:
        """Takes off and returns the jobs that are due, the most overdue first, and no more than `most`."""
        jobs: list[_J] = []
        while len(jobs) < most and (due := self.next_due()) is not None and due <= now:
            job = heapq.heappop(self._heap)[2]
            del self._due[job]
            jobs.append(job)
        return jobs
