"""A forecast: quantiles of the coming values, and of the coming peak."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import InvalidForecast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray

__all__ = ["Forecast", "checked_levels", "rearranged"]


def checked_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """The quantile levels as a tuple.

    Raises:
        InvalidForecast: Not strictly increasing, none at all, or outside (0, 1).
    """
    return _checked(tuple(map(float, levels)))


@lru_cache(maxsize=256)
def _checked(out: tuple[float, ...]) -> tuple[float, ...]:
    """Forecasts ask for the same few levels over and over."""
    if not out or any(not 0.0 < level < 1.0 for level in out):
        raise InvalidForecast(f"quantile levels must lie strictly between 0 and 1, not {list(out)}")
    if any(b <= a for a, b in pairwise(out)):
        raise InvalidForecast(f"quantile levels must be strictly increasing, not {list(out)}")
    return out


def rearranged(values: FloatArray, peak: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Raw quantiles made coherent: crossings mended by rearrangement, load below 0 cut to 0.

    Sorting crossed quantiles never makes them worse (Chernozhukov, Fernández-Val and Galichon, "Quantile and
    probability curves without crossing", Econometrica 78, 2010).

    Args:
        values: Quantiles of the values; shape (..., L, H).
        peak: Quantiles of the running maximum; same shape.

    Returns:
        Both, with the properties that `Forecast` promises.
    """
    values = np.sort(np.maximum(values, 0.0), axis=-2)
    peak = np.sort(np.maximum(peak, values), axis=-2)
    return values, np.maximum.accumulate(peak, axis=-1)


def _kept(array: FloatArray) -> FloatArray:
    """A copy that nobody changes."""
    copy = array.copy()
    copy.setflags(write=False)
    return copy


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What a forecaster expects after `origin`, the time of the last sample that it has seen.

    Attributes:
        origin: Epoch seconds; the forecast uses samples up to it and nothing later.
        step: Seconds between horizons, positive.
        levels: Quantile levels, strictly increasing, each in (0, 1); shape (L,).
        values: values[i, h - 1] is the levels[i]-quantile of the value at origin + h * step; shape (L, H).
        peak: peak[i, h - 1] is the levels[i]-quantile of the maximum over the first h steps; shape (L, H).

    All finite; non-decreasing in level; `peak` non-decreasing in horizon, too, and never below `values`.

    Raises:
        InvalidForecast: One of these does not hold.
    """

    origin: int
    step: int
    levels: tuple[float, ...]
    values: FloatArray
    peak: FloatArray

    def __post_init__(self) -> None:
        levels = checked_levels(self.levels)
        object.__setattr__(self, "levels", levels)
        if self.step <= 0:
            raise InvalidForecast(f"step must be a positive number of seconds, not {self.step}")
        for name in ("values", "peak"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.ndim != 2 or array.shape[0] != len(levels) or array.shape[1] == 0:
                raise InvalidForecast(
                    f"{name} must have shape (levels, horizon): ({len(levels)}, 1 or more), not {array.shape}"
                )
            if not np.isfinite(array).all():
                raise InvalidForecast(f"{name} hold a number that is not finite")
            if (np.diff(array, axis=0) < 0).any():
                raise InvalidForecast(f"{name} decrease from one level to the next")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.values.shape != self.peak.shape:
            raise InvalidForecast(f"values {self.values.shape} and peak {self.peak.shape} differ in shape")
        if (np.diff(self.peak, axis=1) < 0).any():
            raise InvalidForecast("peak decreases from one horizon to the next")
        if (self.peak < self.values).any():
            raise InvalidForecast("peak lies below values: a maximum cannot be less than one of its terms")

    @classmethod
    def of(cls, *, origin: int, step: int, levels: Sequence[float], values: FloatArray, peak: FloatArray) -> Forecast:
        """A forecast from raw quantiles, mended by `rearranged`."""
        return cls(origin, step, tuple(levels), *rearranged(values, peak))

    @classmethod
    def of_each(
        cls, origins: Sequence[int], step: int, levels: Sequence[float], values: FloatArray, peak: FloatArray
    ) -> list[Forecast | None]:
        """Several forecasts, checked at once: of arrays of shape (N, L, H), None in place of one that is refused."""
        levels = checked_levels(levels)
        if step <= 0 or values.shape[1] != len(levels) or not values.shape[2]:
            return [None] * len(origins)
        good = np.asarray((np.isfinite(values) & np.isfinite(peak) & (peak >= values)).all(axis=(1, 2)))
        for rising in (values[:, 1:] >= values[:, :-1], peak[:, 1:] >= peak[:, :-1], peak[..., 1:] >= peak[..., :-1]):
            good &= rising.all(axis=(1, 2))
        out: list[Forecast | None] = []
        for row, origin in enumerate(origins):
            one = object.__new__(cls)
            made = (origin, step, levels, _kept(values[row]), _kept(peak[row]))
            for name, value in zip(cls.__slots__, made, strict=True):
                object.__setattr__(one, name, value)
            out.append(one if good[row] else None)
        return out

    @property
    def horizon(self) -> int:
        """Number of steps forecast."""
        return int(self.values.shape[1])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Forecast):
            return NotImplemented
        return (
            (self.origin, self.step, self.levels) == (other.origin, other.step, other.levels)
            and np.array_equal(self.values, other.values)
            and np.array_equal(self.peak, other.peak)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays do not hash
