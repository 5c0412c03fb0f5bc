"""Gaps: what is missing is filled for methods that need every sample, and never with zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray

__all__ = ["carried", "filled", "gap_lengths", "interpolated"]

# A gap of up to so many samples is bridged by a straight line; a longer one has room for a rhythm.
_SHORT = 15


def carried(values: FloatArray) -> FloatArray:
    """Each missing sample gets the last known one before it; at the start, the first known one.

    Looks at nothing later except at the start, so forecasts may use it. All NaN stays NaN.

    Args:
        values: Shape (..., C).
    """
    columns = np.arange(values.shape[-1])
    known = ~np.isnan(values)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=-1)
    first = np.argmax(known, axis=-1)[..., None]
    return np.take_along_axis(values, np.where(before < 0, first, before), axis=-1)


def gap_lengths(values: FloatArray) -> FloatArray:
    """For each sample the length of the gap that it lies in, 0 where it is known; shape (n,)."""
    missing = np.isnan(values)
    edges = np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    out = np.zeros(values.shape)
    for start, end in zip(starts, ends, strict=True):
        out[start:end] = end - start
    return out


def interpolated(values: FloatArray) -> FloatArray:
    """Straight lines across gaps, the nearest known sample beyond the ends; shape (n,). All NaN stays NaN."""
    known = np.flatnonzero(~np.isnan(values))
    if not known.size or known.size == values.size:
        return values
    return np.interp(np.arange(values.size), known, values[known])


def filled(values: FloatArray, seasons: Sequence[int] = ()) -> FloatArray:
    """For training: short gaps are bridged, long ones take the samples one season away.

    Args:
        values: Shape (n,).
        seasons: Season lengths in steps; the longest that reaches a known sample wins, the nearest season
            before or after. Without any, or with none in reach, a straight line.
    """
    if not np.isnan(values).any():
        return values
    out = values.copy()
    short = gap_lengths(values) <= _SHORT
    out[short] = interpolated(values)[short]
    for season in sorted(seasons, reverse=True):
        for shift in (season, -season, 2 * season, -2 * season):
            missing = np.flatnonzero(np.isnan(out))
            source = missing - shift
            inside = (source >= 0) & (source < values.size)
            out[missing[inside]] = values[source[inside]]
    return interpolated(out)
