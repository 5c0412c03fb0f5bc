"""The memory of recommendations, and the two ways in which an HPA steadies itself with it."""

from __future__ import annotations

from bisect import insort
from collections import deque

__all__ = ["Recommendations"]


class Recommendations:
    """What was proposed before limits, in slots: a new one takes the place of one that has expired."""

    __slots__ = ("_by_time", "_expired", "_highest", "_sizes", "_times")

    def __init__(self, now: float, size: int) -> None:
        # the first sync of an HPA remembers the size found: a fresh HPA scales down after a full window only
        self._times: list[float] = [now]
        self._sizes: list[int] = [size]
        # what `highest` goes by, for it is asked at every sync of a replay; None until then
        self._by_time: deque[int] | None = None  # slots
        self._expired: list[int] = []  # slots whose turn is next, the last one first
        self._highest: deque[tuple[float, int]] = deque()  # times and sizes, without those that a later one exceeds

    def highest(self, now: float, proposed: int, window: float) -> int:
        """Without a `behavior`: the highest recommendation of the window, be it above the current size.

        Args:
            now: Seconds, never less than in the call before.
            proposed: What the metrics ask for.
            window: Seconds; the same in every call.
        """
        cutoff, times, by_time, highest = now - window, self._times, self._by_time, self._highest
        if by_time is None:
            by_time = self._by_time = deque(sorted(range(len(times)), key=times.__getitem__))
            self._expired = []
            highest.clear()
            for slot in by_time:
                _push(highest, times[slot], self._sizes[slot])
        while by_time and times[by_time[0]] <= cutoff:
            insort(self._expired, by_time.popleft())
        while highest and highest[0][0] <= cutoff:
            highest.popleft()
        _push(highest, now, proposed)
        slot = self._expired.pop() if self._expired else len(times)
        by_time.append(slot)
        self._remember(slot, now, proposed)
        return highest[0][1]

    def held(self, now: float, proposed: int, replicas: int, up_window: float, down_window: float) -> int:
        """With a `behavior`: the size is pulled to the lowest and the highest recommendation of the windows.

        Up to the lowest within the window for scaling up, down to the highest within that for scaling down.
        """
        up_cutoff = now - up_window
        down_cutoff = now - down_window
        oldest = min(up_cutoff, down_cutoff)
        lowest = highest = proposed
        slot = -1
        sizes = self._sizes
        for index, time in enumerate(self._times):  # hot: no min() and max() in here
            size = sizes[index]
            if size < lowest and time > up_cutoff:
                lowest = size
            if size > highest and time > down_cutoff:
                highest = size
            if time <= oldest:
                slot = index
        self._remember(slot if slot >= 0 else len(sizes), now, proposed)
        self._by_time = None
        return min(max(replicas, lowest), highest)

    def _remember(self, slot: int, now: float, proposed: int) -> None:
        if slot == len(self._times):
            self._times.append(now)
            self._sizes.append(proposed)
        else:
            self._times[slot] = now
            self._sizes[slot] = proposed


def _push(highest: deque[tuple[float, int]], time: float, size: int) -> None:
    while highest and highest[-1][1] <= size:
        highest.pop()
    highest.append((time, size))
