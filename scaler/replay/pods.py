"""The pods of a workload: a pod asked for serves after its start-up, and costs from its creation on."""

from __future__ import annotations

from bisect import insort

__all__ = ["Pods"]


class Pods:
    """Counts of pods by the tick at which they are ready.

    Args:
        ready: Pods that serve from the start.
        startup: Ticks from creation to ready; several: the n-th pod created takes the n-th of them, again and again.
    """

    __slots__ = ("_created", "_starting", "_startup", "ready", "total")

    def __init__(self, ready: int, startup: tuple[int, ...]) -> None:
        self.ready = ready
        self.total = ready
        self._startup = startup
        self._created = 0
        self._starting: list[list[int]] = []  # [tick, pods], the first ready first

    def advance(self, tick: int) -> None:
        """Makes ready what is due."""
        starting = self._starting
        while starting and starting[0][0] <= tick:
            self.ready += starting.pop(0)[1]

    def resize(self, tick: int, size: int) -> None:
        """Creates pods, or deletes them: those that would be ready last go first, ready ones last of all."""
        change = size - self.total
        self.total = size
        if change > 0:
            self._create(tick, change)
        else:
            self._delete(-change)
        self.advance(tick)

    def _create(self, tick: int, count: int) -> None:
        if len(self._startup) == 1:
            self._starting.append([tick + self._startup[0], count])
            return
        for _ in range(count):
            insort(self._starting, [tick + self._startup[self._created % len(self._startup)], 1])
            self._created += 1

    def _delete(self, count: int) -> None:
        starting = self._starting
        while count and starting:
            last = starting[-1]
            gone = min(count, last[1])
            count -= gone
            if gone == last[1]:
                starting.pop()
            else:
                last[1] -= gone
        self.ready -= count
