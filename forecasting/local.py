"""A series' own middle beside the network's: a ridge regression on what the network is shown.

What a network has learned on other series leaves out what is particular to this one: how far a level lasts, which of
the former days is followed. A linear map of the same inputs, fitted to the series' own past, knows that and nothing
else; the mean of both errs less than either (Bates and Granger, "The combination of forecasts", Operational Research
Quarterly 20, 1969; that equal weights are hard to beat: Genre, Kenny, Meyler and Timmermann, "Combining expert
forecasts: can anything beat the simple average?", International Journal of Forecasting 29, 2013). Ridge: Hoerl and
Kennard, Technometrics 12, 1970.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from forecasting.features.sequence import BIN_AGES, TOLD

if TYPE_CHECKING:
    from forecasting.features.sequence import Inputs
    from forecasting.series import FloatArray

__all__ = ["INPUTS", "looked_at", "regression"]

# Time constants of exponentially smoothed levels, minutes (Brown, "Exponential smoothing for predicting demand", 1956).
_SMOOTHED = np.array([5.0, 15.0, 45.0, 120.0, 360.0])
# Strength of the penalty, a share of the number of examples. Inputs are in units of the spread already: they are not
# standardised, or one that is nearly always 0, like yesterday on a first day, would get a wild weight.
_PENALTY = 0.2
_BLOCKS = 5  # that take turns to be left out
_CUT = 12.0  # spreads: an outcome further off counts as this far

#: How many numbers are looked at.
INPUTS = TOLD + len(_SMOOTHED)

_DECAY = np.exp(-BIN_AGES / _SMOOTHED[:, None])
# What the mean of each bin counts in each smoothed level; shape (levels, T).
_WEIGHTS = np.diff(_DECAY, axis=1) / (_DECAY[:, -1:] - _DECAY[:, :1])


def looked_at(found: Inputs) -> FloatArray:
    """What is told of the series for each ask, and its smoothed levels; in units of the spread, (N, A, INPUTS)."""
    count, asks = found.spread.shape
    out = np.empty((count, asks, INPUTS))
    out[:, :, :TOLD] = found.asks[:, :, :TOLD]
    # tokens are in units of the widest value's spread
    smoothed = (found.tokens[:, None, :, 0] * _WEIGHTS).sum(axis=2) * found.spread[:, asks // 2 - 1, None]
    np.divide(smoothed[:, None], found.spread[:, :, None], out=out[:, :, TOLD:])
    return np.minimum(np.maximum(out, -_CUT, out=out), _CUT, out=out)


def regression(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each ask a ridge regression in closed form, and what those said that were made without a block of rows.

    Args:
        x: Shape (N, A, F), rows in the order of time.
        y: What came, in units of the spread, NaN where unknown; shape (N, A).
        weight: What an error counts; shape (N, A).

    Returns:
        Weights, the offset last, shape (A, F + 1); and predictions of the rows that others were fitted to, (N, A).
    """
    known = ~np.isnan(y)
    weight = np.where(known, weight, 0.0).T[:, :, None]
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    weight = weight * (np.maximum(known.sum(axis=0), 1)[:, None, None] / total)
    target = np.clip(np.where(known, y, 0.0), -_CUT, _CUT).T[:, :, None]
    rows = x.swapaxes(0, 1)
    centre = (weight * rows).mean(axis=1, keepdims=True)
    rows = np.concatenate([rows - centre, np.ones((*rows.shape[:2], 1))], axis=2)
    ends = np.linspace(0, len(x), _BLOCKS + 1).astype(int)
    parts = [slice(*pair) for pair in pairwise(ends)]
    grams = np.stack([(weight[:, at] * rows[:, at]).swapaxes(1, 2) @ rows[:, at] for at in parts])
    sides = np.stack([(weight[:, at] * rows[:, at]).swapaxes(1, 2) @ target[:, at] for at in parts])
    gram, side = grams.sum(axis=0), sides.sum(axis=0)
    without = _solved(gram - grams, side - sides)
    said = np.concatenate([rows[:, at] @ one for at, one in zip(parts, without, strict=True)], axis=1)
    weights = _solved(gram, side)
    weights[:, -1:] -= centre @ weights[:, :-1]
    return weights[:, :, 0], said[:, :, 0].T


def _solved(gram: FloatArray, side: FloatArray) -> FloatArray:
    """Weights, and the offset, which is not penalised; shape (..., F + 1, 1)."""
    count = gram[..., -1:, -1:]
    penalty = np.append(np.full(gram.shape[-1] - 1, _PENALTY), 0.0)
    return np.asarray(np.linalg.solve(gram + (penalty * count + 1e-9) * np.eye(len(penalty)), side), dtype=np.float64)
