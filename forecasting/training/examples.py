"""Training examples of the recurrent network: what it is shown at past origins, and what came."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from forecasting.calibration import future, running_maximum
from forecasting.features.pasts import Rows, in_units
from forecasting.features.scalefree import Scale
from forecasting.features.seen import FLOOR
from forecasting.features.sequence import inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.features.rolling import Float32Array
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["MINUTES", "Examples", "examples", "joined"]

#: Horizons trained at, minutes; on a coarser grid the nearest step, so that some are there twice.
MINUTES = (1, 3, 5, 10, 15, 30, 60)
# This share of the origins is shown as if the series had begun this long ago (days, drawn log-uniformly).
_SHARE_YOUNG = 0.4
_YOUNG = (0.25, 9.0)
_CHUNK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """N origins with all asks; see `forecasting.features.sequence.Inputs`.

    Attributes:
        tokens: Shape (N, T, F).
        asks: Shape (N, A, ASKS).
        statics: Shape (N, STATICS).
        came: Log-ratio that came in units of the spread, 0 where unknown; shape (N, A).
        weight: What an error counts, 0 where unknown, 1 on average over the series' own; shape (N, A).
    """

    tokens: Float32Array
    asks: Float32Array
    statics: Float32Array
    came: Float32Array
    weight: Float32Array

    def __len__(self) -> int:
        return len(self.came)

    def at(self, rows: IntArray | slice) -> Examples:
        """Some of the origins."""
        return Examples(*(getattr(self, field.name)[rows] for field in fields(self)))


def joined(parts: Sequence[Examples]) -> Examples:
    """All of these examples, in order."""
    return Examples(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Examples)))


def examples(series: TimeSeries, *, first: int, end: int, count: int, random: np.random.Generator) -> Examples:
    """Examples from origins spread at random over [first, end), whose outcomes are known before `end`.

    Args:
        series: The history.
        first: First origin.
        end: Nothing from here on is looked at.
        count: Origins, at most as many as there are.
        random: Draws the origins, and how old the series seems at each.
    """
    seen = series.first(end)
    horizons = [max(1, round(minutes * 60 / series.step)) for minutes in MINUTES]
    unit = Scale.of(seen.values).unit
    candidates = np.arange(first, max(first, end - 1), dtype=np.int64)
    candidates = candidates[~np.isnan(in_units(seen.values, unit, series.step)[candidates])]
    origins = np.sort(random.choice(candidates, min(count, len(candidates)), replace=False))
    day = 86400 / series.step
    low, high = np.log(_YOUNG)
    shown = np.exp(random.uniform(low, high, len(origins))) * day
    shown = np.where(random.random(len(origins)) < _SHARE_YOUNG, shown, np.inf)
    parts = [
        _shown(seen, origins[at : at + _CHUNK], horizons, unit, shown[at : at + _CHUNK])
        for at in range(0, len(origins), _CHUNK)
    ]
    return _weighted(joined(parts))


def _shown(series: TimeSeries, origins: IntArray, horizons: Sequence[int], unit: float, shown: FloatArray) -> Examples:
    rows = Rows.of(series, origins, unit, seen=np.minimum(shown, len(series)).astype(np.int64))
    found = inputs(rows, horizons)
    after = np.log(future(in_units(series.values, unit, series.step), origins, max(horizons)) + FLOOR)
    at = np.array(horizons) - 1
    came = np.concatenate([after[:, at], running_maximum(after)[:, at]], axis=1)
    ratio = (came - found.level[:, None]) / found.spread
    weight = np.exp(0.5 * found.level)[:, None] * np.sqrt(found.spread)
    known = ~np.isnan(ratio)
    return Examples(
        found.tokens,
        found.asks,
        found.statics,
        np.where(known, ratio, 0.0).astype(np.float32),
        np.where(known, weight, 0.0).astype(np.float32),
    )


def _weighted(all_of: Examples) -> Examples:
    """Each ask counts the same in each series."""
    total = all_of.weight.sum(axis=0)
    count = np.count_nonzero(all_of.weight, axis=0)
    scale = np.where(total > 0, count / np.maximum(total, 1e-12), 0.0)
    return Examples(all_of.tokens, all_of.asks, all_of.statics, all_of.came, (all_of.weight * scale).astype(np.float32))
