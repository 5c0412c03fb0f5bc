"""Between quantile levels that were learned and those asked for: interpolation, tails, and recalibration.

A level's *depth* is the Laplace distribution's quantile: linear interpolation in it, and beyond the last level,
gives exponential tails. Quantiles that a model learned are recalibrated by the depths at which what came
was found among them (probability integral transforms: Kuleshov, Fenner and Ermon, "Accurate uncertainties for deep
learning using calibrated regression", ICML 2018; with the finite-sample ranks of Chernozhukov, Wüthrich and
Zhu, "Distributional conformal prediction", PNAS 118, 2021).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray
    from forecasting.windows import IntArray

__all__ = ["at_depth", "between", "coherent", "depth", "depths_of", "filled", "interpolated"]

# Neighbouring quantiles lie at least so far apart in each unit of depth, in log-ratio: a band never vanishes.
_LEAST_SLOPE = 1e-4


def depth(level: FloatArray | Sequence[float] | float) -> FloatArray:
    """0 at the median, -log(2 (1 - level)) above, mirrored below."""
    level = np.asarray(level, dtype=np.float64)
    return np.asarray(np.log(2 * np.minimum(level, 0.5)) - np.log(2 * np.minimum(1 - level, 0.5)))


def _ordered(knots: FloatArray, at: FloatArray) -> FloatArray:
    """Quantiles in order, no two the same; shape as given, (N, L)."""
    slack = _LEAST_SLOPE * at
    return np.asarray(np.sort(knots, axis=1) + slack)


def at_depth(knots: FloatArray, at: FloatArray, wanted: FloatArray) -> FloatArray:
    """Quantiles at these depths.

    Args:
        knots: Learned quantiles; shape (N, L), L 2 or more.
        at: Their depths, increasing from 0; shape (L,).
        wanted: Depths; shape (P,) or (N, P). Below 0 the slope next to the median continues.

    Returns:
        Shape (N, P).
    """
    knots = _ordered(knots, at)
    wanted = np.broadcast_to(wanted, (len(knots), wanted.shape[-1]))
    slopes = np.diff(knots, axis=1) / np.diff(at)
    out = knots[:, :1] + slopes[:, :1] * np.minimum(wanted, at[1])
    for i in range(1, len(at) - 1):
        reach = np.maximum(wanted - at[i], 0.0)
        if i < len(at) - 2:
            reach = np.minimum(reach, at[i + 1] - at[i])
        out = out + slopes[:, i : i + 1] * reach
    return np.asarray(out)


def depths_of(came: FloatArray, knots: FloatArray, at: FloatArray) -> FloatArray:
    """The depth at which each outcome lies among its quantiles: the inverse of `at_depth`; shape (N,)."""
    knots = _ordered(knots, at)
    slopes = np.diff(knots, axis=1) / np.diff(at)
    below = (came - knots[:, 0]) / slopes[:, 0]
    out = np.where(came < knots[:, 1], below, at[1] + (came - knots[:, 1]) / slopes[:, min(1, slopes.shape[1] - 1)])
    for i in range(2, len(at) - 1):
        out = np.where(came >= knots[:, i], at[i] + (came - knots[:, i]) / slopes[:, i], out)
    return np.asarray(out)


def between(rows: FloatArray, anchors: Sequence[int], asked: Sequence[int]) -> FloatArray:
    """Rows given at the anchors, at the horizons asked for: linear in log horizon, held beyond the ends.

    Args:
        rows: Shape (..., anchors).
        anchors: Horizons, increasing.
        asked: Horizons.

    Returns:
        Shape (..., asked).
    """
    right, share = _places(tuple(anchors), tuple(asked))
    low = rows[..., right - 1]
    return np.asarray(low + (rows[..., right] - low) * share)


def filled(at: FloatArray, asked: Sequence[int], horizon: int) -> FloatArray:
    """From the horizons asked to all: linear in log horizon, held beyond the last.

    Args:
        at: Quantiles at the horizons asked; shape (asked, N, levels).
        asked: These horizons, increasing.
        horizon: The farthest of all, in steps.

    Returns:
        Shape (N, levels, horizon).
    """
    return between(at.transpose(1, 2, 0), asked, range(1, horizon + 1))


@lru_cache(maxsize=256)
def _places(anchors: tuple[int, ...], asked: tuple[int, ...]) -> tuple[IntArray, FloatArray]:
    """Of each horizon asked for, the anchor to the right, and how far it lies from the one to the left."""
    if len(anchors) == 1:
        return np.zeros(len(asked), dtype=np.int64), np.zeros(len(asked))
    at, wanted = np.log(anchors), np.log(np.clip(asked, anchors[0], anchors[-1]))
    right = np.clip(np.searchsorted(at, wanted, side="right"), 1, len(anchors) - 1)
    return right, (wanted - at[right - 1]) / (at[right] - at[right - 1])


def interpolated(rows: FloatArray, anchors: Sequence[float], asked: Sequence[int]) -> FloatArray:
    """Rows given at the anchors, at the horizons asked for: linear, held beyond the ends, as `numpy.interp` has it.

    Args:
        rows: Shape (..., anchors).
        anchors: Horizons, increasing.
        asked: Horizons.

    Returns:
        Shape (..., asked).
    """
    low, high, beyond, width = _straight(tuple(anchors), tuple(asked))
    at = rows[..., low]
    return np.asarray((rows[..., high] - at) / width * beyond + at)


@lru_cache(maxsize=256)
def _straight(anchors: tuple[float, ...], asked: tuple[int, ...]) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Of each horizon asked for: the anchors around it, how far it is beyond the first, and how far they are apart."""
    at = np.array(anchors, dtype=np.float64)
    wanted = np.clip(np.array(asked, dtype=np.float64), at[0], at[-1])
    low = np.searchsorted(at, wanted, side="right") - 1
    high = np.minimum(low + 1, len(at) - 1)
    return low, high, wanted - at[low], np.where(high > low, at[high] - at[low], 1.0)


def coherent(values: FloatArray, peak: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Peaks non-decreasing along the last axis, and values not above them, without a bias to either side."""
    up = np.maximum.accumulate(peak, axis=2)
    down = np.minimum.accumulate(peak[:, :, ::-1], axis=2)[:, :, ::-1]
    peak = (up + down) / 2
    return np.minimum(values, peak), peak
