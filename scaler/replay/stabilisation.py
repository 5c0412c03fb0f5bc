"""The memory of recommendations, and the two ways in which an HPA steadies itself with it."""

from __future__ import annotations

__all__ = ["Recommendations"]


class Recommendations:
    """What was proposed before limits, in slots: a new one takes the place of one that has expired."""

    __slots__ = ("_sizes", "_times")

    def __init__(self, now: float, size: int) -> None:
        # the first sync of an HPA remembers the size found: a fresh HPA scales down after a full window only
        self._times: list[float] = [now]
        self._sizes: list[int] = [size]

    def highest(self, now: float, proposed: int, window: float) -> int:
        """Without a `behavior`: the highest recommendation of the window, be it above the current size."""
        cutoff = now - window
        highest = proposed
        slot = -1
        sizes = self._sizes
        for index, time in enumerate(self._times):
            if time <= cutoff:
                slot = index
            elif sizes[index] > highest:
                highest = sizes[index]
        self._remember(slot, now, proposed)
        return highest

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
        self._remember(slot, now, proposed)
        return min(max(replicas, lowest), highest)

    def _remember(self, slot: int, now: float, proposed: int) -> None:
        if slot < 0:
            self._times.append(now)
            self._sizes.append(proposed)
        else:
            self._times[slot] = now
            self._sizes[slot] = proposed
