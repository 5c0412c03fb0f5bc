"""Calibrated quantiles for any method that predicts a path: split-conformal, on values and on peaks.

The residuals of paths issued from rolling origins inside the training data are ranked; the quantile at level
p of n residuals is the one of rank p (n + 1), so that a new residual, exchangeable with these, lies below it
with probability p (Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005; Lei et al.,
"Distribution-free predictive inference for regression", JASA 113, 2018; Angelopoulos and Bates, "Conformal
prediction: a gentle introduction", 2023). Peaks have residuals of their own: the actual running maximum
against the path's running maximum, because the quantile of a maximum is not the maximum of quantiles.

Residuals may be divided by a scale known at the origin before ranking (Lei et al., section 5.2), so that
bands are wide when the series is rough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import checked_levels
from forecasting.quantiles import interpolated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray
    from forecasting.windows import IntArray

__all__ = ["GRID", "Bands", "around", "conformal_quantiles", "future", "level_weights", "running_maximum"]

# Quantiles are stored in single precision: their own sampling error is far larger.
Quantiles: TypeAlias = NDArray[np.float32]

# Dense where scaling decisions are made (above the median), sparse below.
GRID = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95,
    0.965, 0.975, 0.98, 0.985, 0.99, 0.995,
)  # fmt: skip

# Fewer residuals than this at a horizon say too little: such horizons are extrapolated from nearer ones.
_MIN_RESIDUALS = 8
# A running maximum with more missing steps than this share is not known.
_MAX_MISSING = 0.2
# At most so many horizons are stored; those between are interpolated.
_MAX_STORED = 64
# Single precision ends at 3e38.
_LARGEST = 1e38


@dataclass(frozen=True, eq=False, kw_only=True)
class Bands:
    """Conformal residual quantiles on a grid of levels and horizons.

    Attributes:
        horizons: Horizons stored, strictly increasing from 1; shape (M,).
        values: Quantiles of actual - path at GRID's levels; shape (len(GRID), M).
        peak: The same of the running maxima; shape (len(GRID), M).
        growth: How the residuals grow beyond the last horizon: proportionally to h ** growth.
        count: Residuals behind horizon 1: the coverage promised is exact to about 1 / sqrt(count).
    """

    horizons: Quantiles
    values: Quantiles
    peak: Quantiles
    growth: float
    count: int

    @classmethod
    def none(cls) -> Bands:
        """Bands of no width: what a method has before it is calibrated."""
        flat = np.zeros((len(GRID), 1), dtype=np.float32)
        return cls(horizons=np.ones(1, dtype=np.float32), values=flat, peak=flat, growth=0.0, count=0)

    @classmethod
    def of(cls, actual: FloatArray, paths: FloatArray, scale: FloatArray | None = None) -> Bands:
        """Calibrates on what was predicted and what came.

        Args:
            actual: What came after each origin, missing steps NaN; shape (N, H).
            paths: What was predicted; shape (N, H).
            scale: Positive width of each origin's band; shape (N,). None: 1, additive bands.
        """
        unit = np.ones((len(actual), 1)) if scale is None else scale[:, None]
        residuals = (actual - paths) / unit
        peaks = (running_maximum(actual) - np.maximum.accumulate(paths, axis=1)) / unit
        horizons = _stored_horizons(actual.shape[1])
        values = conformal_quantiles(residuals[:, horizons - 1], GRID)
        peak = conformal_quantiles(peaks[:, horizons - 1], GRID)
        growth = _growth(values, horizons)
        return cls(
            horizons=horizons.astype(np.float32),
            values=_completed(values, horizons, growth),
            peak=_completed(peak, horizons, growth),
            growth=growth,
            count=int(np.count_nonzero(~np.isnan(residuals[:, 0]))),
        )

    def apply(
        self, paths: FloatArray, levels: Sequence[float], scale: FloatArray | None = None, *, skip: int = 0
    ) -> tuple[FloatArray, FloatArray]:
        """Quantiles around these paths; see `around`."""
        return around((self,), paths, levels, scale, skip=skip)


def around(
    bands: Sequence[Bands],
    paths: FloatArray,
    levels: Sequence[float],
    scale: FloatArray | None = None,
    *,
    skip: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Quantiles around paths, raw: crossings are for `forecasting.forecast.rearranged`.

    Args:
        bands: One for all paths or one for each, stored at the same horizons.
        paths: Shape (N, H).
        levels: Any levels, L of them: interpolated on GRID, beyond it the tails are exponential.
        scale: As given to `Bands.of`; shape (N,).
        skip: Leading steps of the paths that are past already: the peak is that of the rest.

    Returns:
        Quantiles of values and of the running maximum; each of shape (N, L, H - skip).
    """
    unit = np.ones((len(paths), 1, 1)) if scale is None else scale[:, None, None]
    ahead = paths[:, None, skip:]
    highest = np.maximum.accumulate(ahead, axis=2)
    values, peak = _offsets(bands, level_places(levels), paths.shape[1])[..., skip:]
    return ahead + unit * values, highest + unit * peak


def _offsets(bands: Sequence[Bands], places: tuple[IntArray, FloatArray], horizon: int) -> FloatArray:
    """Residual quantiles of values and of peaks at any levels and horizons; shape (2, bands, L, horizon)."""
    right, share = places
    horizons = bands[0].horizons
    grid = np.array([[one.values for one in bands], [one.peak for one in bands]], dtype=np.float64)
    by_level = grid[:, :, right - 1] * (1 - share)[:, None] + grid[:, :, right] * share[:, None]
    if horizon <= horizons.size and horizons[horizon - 1] == horizon:  # each of them is stored
        return np.asarray(by_level[..., :horizon])
    steps = np.arange(1, horizon + 1)
    out = interpolated(by_level, horizons.tolist(), steps.tolist())
    beyond = np.maximum(steps / np.float64(horizons[-1]), 1.0)
    # one by one: a power of numbers is not always what it is of a table
    return np.asarray(out * np.stack([beyond**one.growth for one in bands])[:, None])


def conformal_quantiles(residuals: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Finite-sample quantiles of residuals: the one at level p has rank p (n + 1), interpolated.

    Levels that n residuals cannot reach, above n / (n + 1), continue with an exponential tail.

    Args:
        residuals: Missing ones NaN; shape (N, M).
        levels: L levels, strictly increasing.

    Returns:
        Shape (L, M); NaN where a column has fewer than 8 residuals.
    """
    ranked = np.sort(residuals, axis=0)  # NaN goes last
    n = np.count_nonzero(~np.isnan(ranked), axis=0)
    usable = n >= _MIN_RESIDUALS
    out = np.full((len(levels), ranked.shape[1]), np.nan)
    columns = np.flatnonzero(usable)
    if not columns.size:
        return out
    count = n[columns]

    def at(level: FloatArray) -> FloatArray:
        position = np.clip(level * (count + 1) - 1, 0, count - 1)
        low = np.floor(position).astype(np.int64)
        high = np.minimum(low + 1, count - 1)
        share = position - low
        return np.asarray(ranked[low, columns] * (1 - share) + ranked[high, columns] * share)

    highest = count / (count + 1)
    asked = np.array(levels)[:, None]
    reachable = np.clip(asked, 1 - highest, highest)
    edge = at(reachable)
    within = reachable == asked
    for row in np.flatnonzero(~within.all(axis=1)).tolist():
        inner = 1 - 4 * (1 - highest) if levels[row] > 0.5 else 4 * (1 - highest)
        known = np.where(within[row], 1.0, _depth(reachable[row]) - _depth(inner))
        beyond = np.where(within[row], 0.0, (_depth(levels[row]) - _depth(reachable[row])) / known)
        edge[row] += (edge[row] - at(inner)) * beyond
    out[:, columns] = edge
    return out


def level_weights(levels: Sequence[float]) -> FloatArray:
    """How to interpolate quantiles stored at GRID's levels; shape (L, len(GRID)), rows summing to 1.

    Linear in the level's depth, the Laplace distribution's quantile: tails beyond the grid are exponential.
    """
    return _level_weights(checked_levels(levels))


@lru_cache(maxsize=64)
def _level_weights(levels: tuple[float, ...]) -> FloatArray:
    """Forecasts ask for the same few levels over and over."""
    right, share = level_places(levels)
    out, rows = np.zeros((right.size, len(GRID))), np.arange(right.size)
    out[rows, right - 1], out[rows, right] = 1 - share, share
    out.setflags(write=False)
    return out


def level_places(levels: Sequence[float]) -> tuple[IntArray, FloatArray]:
    """The same by the next of GRID's levels above each, and how much it counts; the rest is that of the one below."""
    return _level_places(checked_levels(levels))


@lru_cache(maxsize=64)
def _level_places(levels: tuple[float, ...]) -> tuple[IntArray, FloatArray]:
    known = _depth(np.array(GRID))
    asked = np.array([float(_depth(min(max(level, 1e-6), 1 - 1e-6))) for level in levels])
    right = np.clip(np.searchsorted(known, asked), 1, len(GRID) - 1)
    share = (asked - known[right - 1]) / (known[right] - known[right - 1])
    right.setflags(write=False)
    share.setflags(write=False)
    return right, share


def future(values: FloatArray, origins: IntArray, horizon: int) -> FloatArray:
    """What came after each of these positions, NaN where nothing is known; shape (N, horizon)."""
    padded = np.concatenate([values, np.full(horizon, np.nan)])
    return np.asarray(padded[origins[:, None] + np.arange(1, horizon + 1)])


def running_maximum(actual: FloatArray) -> FloatArray:
    """The maximum over the first h steps, NaN where more than a fifth of them are missing; shape (N, H)."""
    missing = np.isnan(actual)
    highest = np.maximum.accumulate(np.where(missing, -np.inf, actual), axis=1)
    share = np.cumsum(missing, axis=1) / np.arange(1, actual.shape[1] + 1)
    return np.where((share > _MAX_MISSING) | np.isinf(highest), np.nan, highest)


def _depth(level: FloatArray | float) -> FloatArray:
    below = np.minimum(level, 0.5)
    above = np.minimum(1 - np.asarray(level), 0.5)
    return np.asarray(np.log(2 * below) - np.log(2 * above), dtype=np.float64)


def _stored_horizons(horizon: int) -> IntArray:
    if horizon <= _MAX_STORED:
        return np.arange(1, horizon + 1, dtype=np.int64)
    return np.unique(np.geomspace(1, horizon, _MAX_STORED).round().astype(np.int64))


def _growth(quantiles: FloatArray, horizons: IntArray) -> float:
    """Exponent of the residuals' growth over the far half of the horizons, between a walk's and none."""
    spread = quantiles[GRID.index(0.9)] - quantiles[GRID.index(0.1)]
    known = np.flatnonzero(~np.isnan(spread) & (spread > 0))
    if known.size < 2:
        return 0.5
    far = known[-1]
    near = known[np.argmin(np.abs(horizons[known] - horizons[far] / 2))]
    if near == far:
        return 0.5
    slope = np.log(spread[far] / spread[near]) / np.log(horizons[far] / horizons[near])
    return float(np.clip(slope, 0.0, 0.5))


def _completed(quantiles: FloatArray, horizons: IntArray, growth: float) -> Quantiles:
    """Horizons without enough residuals get the nearest nearer one's, grown; stored in single precision."""
    known = np.flatnonzero(~np.isnan(quantiles[0]))
    if not known.size:
        return np.zeros(quantiles.shape, dtype=np.float32)
    last = known[-1]
    source = known[np.clip(np.searchsorted(known, np.arange(horizons.size), side="right") - 1, 0, None)]
    factor = np.where(np.arange(horizons.size) > last, (horizons / horizons[last]) ** growth, 1.0)
    return np.clip(quantiles[:, source] * factor, -_LARGEST, _LARGEST).astype(np.float32)
