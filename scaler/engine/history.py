"""The recent past of one series in memory: grows at the end, forgets at the front.

Samples are held as float32, 4 bytes each: a load is hardly known to 7 digits, and a fleet's past is most of what the
engine holds. With room to grow of a 32nd, a week and a day of minutes takes 48 KB. Rounding is the same in every
replica; the store keeps what the source said.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecasting.series import FloatArray

__all__ = ["History", "bytes_held"]

_LARGEST = float(np.finfo(np.float32).max)
_ROOM = 32  # the part of the capacity by which a buffer is larger: it is moved once in so many samples
_SPARE = 64  # samples more


def bytes_held(capacity: int) -> int:
    """What the samples of one history take at most, in memory."""
    return (capacity + capacity // _ROOM + _SPARE) * np.dtype(np.float32).itemsize


class History:
    """Up to `capacity` samples on a grid; appending one costs no copy of the rest."""

    def __init__(self, *, step: int, capacity: int) -> None:
        self.step = step
        self.capacity = capacity
        self._buffer = np.empty(0, np.float32)
        self._size = 0
        self._end = 0  # time of the last sample

    def __len__(self) -> int:
        return self._size

    @property
    def end(self) -> int:
        """Time of the last sample, epoch seconds; 0 while there is none."""
        return self._end

    @property
    def start(self) -> int:
        """Time of the first sample within the capacity, epoch seconds; meaningless while there is none."""
        return self._end - (min(self._size, self.capacity) - 1) * self.step

    def extend(self, new: TimeSeries) -> None:
        """Adds samples after the last; those at or before it are left as they are, a gap becomes NaN."""
        if len(new) == 0 or (self._size and new.end <= self._end):
            return
        if not self._size:
            values = new.values
        else:
            gap = (new.start - self._end) // self.step - 1
            filler = np.full(min(max(gap, 0), self.capacity), np.nan)
            values = new.values[-gap:] if gap < 0 else np.concatenate([filler, new.values])
        values = values[-self.capacity :]
        self._make_room(len(values))
        self._buffer[self._size : self._size + len(values)] = _held(values)
        self._size += len(values)
        self._end = new.end

    def merge(self, new: TimeSeries) -> None:
        """As `extend`, and takes up what lies before the first sample; of two known samples the older one stays."""
        if not self._size or not len(new) or new.start >= self.start:
            self.extend(new)
            return
        old = self.last()
        values = np.full((max(old.end, new.end) - new.start) // self.step + 1, np.nan)
        values[: len(new)] = new.values
        place = (old.start - new.start) // self.step
        known = ~np.isnan(old.values)
        values[place : place + len(old)][known] = old.values[known]
        self._buffer, self._size = _held(values[-self.capacity :]), min(len(values), self.capacity)
        self._end = max(old.end, new.end)

    def cut(self, after: float) -> None:
        """Lets go of the samples after this time, epoch seconds: of a future that a clock set ahead has asked for."""
        gone = min(self._size, max(0, math.ceil((self._end - after) / self.step)))
        self._size -= gone
        self._end = self._end - gone * self.step if self._size else 0

    def begin(self, since: int | None = None) -> int:
        """Time of the first known sample within the capacity, not before `since`; that of the last if none is."""
        first = self.start if since is None else max(self.start, since)
        values = self._buffer[self._size - (self._end - first) // self.step - 1 : self._size]
        if not len(values) or values[0] == values[0]:  # only NaN is not itself; mostly it is known
            return first
        known = ~np.isnan(values)
        return first + int(known.argmax()) * self.step if known.any() else self._end

    def _make_room(self, count: int) -> None:
        """Lets go of what falls out at the front; moves the rest only once in a 32nd of the capacity."""
        if self._size + count <= len(self._buffer):
            return
        keep = min(self._size, self.capacity - count)
        room = self.capacity // _ROOM + _SPARE
        grown = np.empty(min(keep + count, self.capacity) + room, np.float32)
        grown[:keep] = self._buffer[self._size - keep : self._size]
        self._buffer, self._size = grown, keep

    def last(self, count: int | None = None) -> TimeSeries:
        """The last `count` samples (all within the capacity if None) as a TimeSeries of their own."""
        size = min(self._size, self.capacity if count is None else count)
        start = self._end - (size - 1) * self.step if size else 0
        return TimeSeries(start, self.step, self._buffer[self._size - size : self._size].astype(np.float64))

    def highest(self, count: int | None = None) -> float:
        """The highest known value of the last `count` samples, or of all within the capacity; 0.0 if none is known."""
        size = min(self._size, self.capacity if count is None else count)
        values = self._buffer[self._size - size : self._size]
        highest = float(np.fmax.reduce(values, initial=np.nan))  # passes over NaN
        return 0.0 if math.isnan(highest) else highest


def _held(values: FloatArray) -> NDArray[np.float32]:
    """As float32; what that cannot hold, no HPA can count, either."""
    return np.clip(values, -_LARGEST, _LARGEST).astype(np.float32)
