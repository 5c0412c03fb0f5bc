"""A time series on a regular grid: the one input of every forecaster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import InvalidSeries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["FloatArray", "TimeSeries"]

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TimeSeries:
    """Samples at `start`, `start + step`, ...: the value known at each of these moments.

    Attributes:
        start: Time of the first sample, epoch seconds, a multiple of `step`.
        step: Distance of two samples in seconds, positive.
        values: float64, shape (n,), read-only. A missing sample is NaN, never 0; infinities are refused.
        covariates: Other series at the same moments, known up to the same one, as are their values; shape (K, n), NaN
            where unknown. None: there are none. See `forecasting.covariates`.

    Raises:
        InvalidSeries: The grid or the values break the above.
    """

    start: int
    step: int
    values: FloatArray
    covariates: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.step <= 0:
            raise InvalidSeries(f"step must be a positive number of seconds, not {self.step}")
        if self.start % self.step:
            raise InvalidSeries(
                f"start {self.start} is off the grid: it must be a multiple of the step, {self.step} s, "
                "so that all replicas look at the same moments"
            )
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 1:
            raise InvalidSeries(f"values must have one dimension, not {values.ndim}")
        if np.isinf(values).any():
            raise InvalidSeries("values hold an infinity; a sample that is not known is NaN")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)
        if self.covariates is not None:
            self._check_covariates(np.array(self.covariates, dtype=np.float64))

    def _check_covariates(self, covariates: FloatArray) -> None:
        if covariates.ndim != 2 or covariates.shape[1] != len(self.values):
            raise InvalidSeries(
                f"covariates must have a row for each and {len(self.values)} columns, one for each sample, "
                f"not the shape {covariates.shape}"
            )
        if np.isinf(covariates).any():
            raise InvalidSeries("covariates hold an infinity; a sample that is not known is NaN")
        covariates.setflags(write=False)
        object.__setattr__(self, "covariates", covariates)

    @classmethod
    def from_samples(cls, samples: Iterable[tuple[float, float]], *, step: int) -> TimeSeries:
        """Puts (time, value) pairs on the grid: the last sample within (t - step, t] becomes the one at t.

        Non-finite values become NaN. No pairs give an empty series that starts at 0.
        """
        slots: dict[int, float] = {}
        for time, value in sorted(samples):
            slots[-int(-time // step)] = value
        if not slots:
            return cls(0, step, np.empty(0))
        first, last = min(slots), max(slots)
        values = np.full(last - first + 1, np.nan)
        for slot, value in slots.items():
            values[slot - first] = value if np.isfinite(value) else np.nan
        return cls(first * step, step, values)

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def end(self) -> int:
        """Time of the last sample, epoch seconds; `start - step` for an empty series."""
        return self.start + (len(self) - 1) * self.step

    @property
    def known(self) -> int:
        """How many samples are not missing."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    def times(self) -> NDArray[np.int64]:
        """Times of the samples, epoch seconds, shape (n,)."""
        return self.start + self.step * np.arange(len(self), dtype=np.int64)

    def until(self, time: float) -> TimeSeries:
        """The samples up to and including `time`: what was known then."""
        n = max(0, min(len(self), int((time - self.start) // self.step) + 1))
        return self._part(0, n)

    def first(self, n: int) -> TimeSeries:
        """The first `n` samples, or all if there are fewer."""
        return self._part(0, max(0, n))

    def last(self, n: int) -> TimeSeries:
        """The last `n` samples, or all if there are fewer."""
        return self._part(max(0, len(self) - n), len(self))

    def beside(self, others: Sequence[TimeSeries]) -> TimeSeries:
        """This series with these as its covariates, at the same moments; as it is if there are none.

        Raises:
            InvalidSeries: One of them has another step.
        """
        if not others:
            return self
        rows = np.full((len(others), len(self)), np.nan)
        for row, other in zip(rows, others, strict=True):
            if other.step != self.step:
                raise InvalidSeries(f"a covariate's step is {other.step} s, the series' is {self.step} s")
            shift = (other.start - self.start) // self.step
            first, end = max(0, shift), min(len(self), shift + len(other))
            if first < end:
                row[first:end] = other.values[first - shift : end - shift]
        return TimeSeries(self.start, self.step, self.values, rows)

    def _part(self, begin: int, end: int) -> TimeSeries:
        """These samples, neither copied nor checked again: they are read-only, and as they should be already."""
        part = object.__new__(TimeSeries)
        object.__setattr__(part, "start", self.start + begin * self.step)
        object.__setattr__(part, "step", self.step)
        object.__setattr__(part, "values", self.values[begin:end])
        object.__setattr__(part, "covariates", None if self.covariates is None else self.covariates[:, begin:end])
        return part

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TimeSeries):
            return NotImplemented
        return (
            (self.start, self.step) == (other.start, other.step)
            and np.array_equal(self.values, other.values, equal_nan=True)
            and _same(self.covariates, other.covariates)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays do not hash


def _same(one: FloatArray | None, other: FloatArray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=True)
