"""Rolling statistics that give a position the same number whatever lies before its window.

The last digits of a cumulative sum of floats depend on where it began, so a backtest over a long series and a
server holding the latest days would disagree. Here values are rounded to multiples of a power of two that is
coarse enough for double precision to add two weeks of them without rounding, so they agree.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from forecasting.series import FloatArray
    from forecasting.windows import IntArray

__all__ = ["Float32Array", "Track", "filled_forward", "ratio", "rolling_maximum", "shifted"]

Float32Array = NDArray[np.float32]
_Float = TypeVar("_Float", bound=np.floating[Any])


class Track:
    """Rows of numbers over time, and their windows' statistics at many positions: cumulative sums, rolling maxima.

    Positions have shape (A, ...), or (1, ...) where they are the same for every row; results have shape (A, ...).

    Args:
        values: Unknown ones NaN; shape (A, n).
        resolution: Sums are of the values rounded to multiples of 1 / resolution; |value| x resolution must stay
            below 2 ** 37, or 2 ** 18 where squares are wanted, for sums to be exact.
    """

    def __init__(self, values: Float32Array, resolution: float) -> None:
        self.values = values
        self._resolution = resolution
        self._highest: dict[int, Float32Array] = {}

    def at(self, positions: IntArray) -> Float32Array:
        """The values there; NaN before the start."""
        found = self._pick(self.values, np.maximum(positions, 0))
        found[np.broadcast_to(positions < 0, found.shape)] = np.nan
        return found

    def totals(self, ends: IntArray, width: int) -> tuple[FloatArray, FloatArray]:
        """Sum and number of what is known in the `width` positions up to each of `ends`."""
        return self._between(self._totals, ends, width), self._between(self._counts, ends, width)

    def sums(self, ends: IntArray, width: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sum, sum of squares and number of what is known in each window."""
        total, count = self.totals(ends, width)
        return total, self._between(self._squares, ends, width), count

    def highest(self, ends: IntArray, width: int) -> Float32Array:
        """Maximum of what is known in the `width` positions up to each of `ends`; NaN where nothing is."""
        if width not in self._highest:
            narrower = max((known for known in self._highest if known < width), default=1)
            self._highest[width] = rolling_maximum(self._highest.get(narrower, self.values), width, of=narrower)
        n = self.values.shape[1]
        found = self._pick(self._highest[width], np.minimum(np.maximum(ends, 0), n - 1))
        found[np.broadcast_to((ends < 0) | (ends >= n), found.shape)] = np.nan
        return found

    def _between(self, track: FloatArray, ends: IntArray, width: int) -> FloatArray:
        n = self.values.shape[1]
        stop = np.minimum(np.maximum(ends + 1, 0), n)
        begin = np.minimum(np.maximum(ends + 1 - width, 0), n)
        return self._pick(track, stop) - self._pick(track, begin)

    def _pick(self, track: NDArray[_Float], positions: IntArray) -> NDArray[_Float]:
        if len(positions) == 1:
            return np.asarray(track.take(positions[0], axis=1))
        return track[np.arange(len(track)).reshape(-1, *(1,) * (positions.ndim - 1)), positions]

    def _rounded(self, values: Float32Array) -> FloatArray:
        scaled = values.astype(np.float64)
        scaled *= self._resolution
        np.rint(scaled, out=scaled)
        scaled /= self._resolution
        return scaled

    @cached_property
    def _known(self) -> tuple[FloatArray, NDArray[np.bool_]]:
        found = self._rounded(self.values)
        missing = np.isnan(found)
        found[missing] = 0.0
        return found, ~missing

    @cached_property
    def _totals(self) -> FloatArray:
        return _cumulative(self._known[0])

    @cached_property
    def _squares(self) -> FloatArray:
        return _cumulative(np.square(self._known[0]))

    @cached_property
    def _counts(self) -> FloatArray:
        return _cumulative(self._known[1])


def _cumulative(values: NDArray[Any]) -> FloatArray:
    out = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=out[:, 1:])
    return out


def rolling_maximum(values: NDArray[_Float], width: int, *, of: int = 1) -> NDArray[_Float]:
    """Maximum of the latest `width` samples at every position, fewer at the start; NaN where all are unknown.

    By doubling: log2(width) passes whatever the width.

    Args:
        values: Samples, or maxima of narrower windows; shape (..., n).
        width: Samples in a window.
        of: Samples in those windows already.
    """
    highest, reach = values, of
    while reach < min(width, values.shape[-1]):
        by = min(reach, width - reach)
        longer = highest.copy()
        np.fmax(highest[..., by:], highest[..., :-by], out=longer[..., by:])
        highest, reach = longer, reach + by
    return highest


def ratio(total: FloatArray, count: FloatArray) -> FloatArray:
    """Total over count; NaN where the count is 0."""
    out = np.full(total.shape, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out


def shifted(values: Float32Array, by: int) -> Float32Array:
    """The values `by` positions later, NaN where there are none."""
    out = np.full_like(values, np.nan)
    out[: max(0, len(values) - by)] = values[by:]
    return out


def filled_forward(values: FloatArray, limit: int) -> FloatArray:
    """Missing samples take the last known one, at most `limit` steps on."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    positions = np.arange(len(values))
    known = np.maximum.accumulate(np.where(missing, -1, positions))
    usable = (known >= 0) & (positions - known <= limit)
    return np.asarray(np.where(usable, values[np.maximum(known, 0)], np.nan))
