"""What a recurrent network is shown of a series: the last day from coarse to fine, and the same minutes of former days.

Three inputs, all free of the load's unit and of the grid's step, so that one network serves every series:

- *tokens*, a sequence: the last day cut into bins, two hours wide at its far end and a minute at its near one, each
  beside the same bins one and seven days earlier;
- *asks*, for each horizon and for value and peak: what came after this time of day on former days, and how far loads
  moved within such a horizon lately. The future's season is known, so this goes in beside the horizon (Wen et al.,
  "A multi-horizon quantile recurrent forecaster", 2017);
- *statics*: the clock, the level, and how much history there is.

Log-ratios are to the *level*, the mean of the last quarter of an hour, and in units of the *spread*, how far such
log-ratios moved lately. What is not known is 0, and a mask says so: a first day is no error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forecasting.features.layout import BESIDE, BIN_AGES, DAYS, HORIZON_MINUTES, Layout, layout_of
from forecasting.features.pasts import lead
from forecasting.features.seen import FLOOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from forecasting.features.pasts import Pasts
    from forecasting.features.rolling import Float32Array
    from forecasting.series import FloatArray
    from forecasting.windows import IntArray

__all__ = ["ASKS", "BIN_AGES", "HORIZON_MINUTES", "STATICS", "TOKENS", "TOLD", "Inputs", "inputs", "reach"]

# A series that has shown no moves yet is taken to move like this, with the weight of so many samples.
_USUAL_MOVE, _USUAL_COUNT = 0.25, 6.0
_CUT = 12.0  # spreads
_PERIODS = np.array([86400, 604800, 3600, 900])  # seconds

#: Shapes of the inputs: tokens (T, F), features of an ask, features of the origin.
TOKENS = (len(BIN_AGES) - 1, 4 + 2 * len(BESIDE) + 1)
ASKS = 27
#: So many of an ask's features tell of the series; the others say which ask it is, and its spread.
TOLD = 22
STATICS = 12 + len(DAYS)


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What the network is shown for N origins and A asks: the values at some horizons, then the peaks up to them.

    Attributes:
        tokens: Shape (N, T, F).
        asks: Shape (N, A, ASKS).
        statics: Shape (N, STATICS).
        level: Log of the level in units, NaN where the recent past is unknown; shape (N,).
        spread: How far log-ratios moved within the horizon lately, positive; shape (N, A).
    """

    tokens: Float32Array
    asks: Float32Array
    statics: Float32Array
    level: FloatArray
    spread: FloatArray


def reach(step: int) -> int:
    """How many samples back the inputs look, for horizons up to a day: two weeks and a little."""
    layout = layout_of(step, (1,))
    return DAYS[-1] * layout.day + layout.level + layout.around + lead(step) + 2


def inputs(pasts: Pasts, horizons: Sequence[int]) -> Inputs:
    """What the network is shown.

    Args:
        pasts: Where the origins are and what came before each.
        horizons: Steps, 1 or more, increasing; the asks are the values at them, then the peaks up to them.
    """
    layout = layout_of(pasts.step, tuple(horizons))
    loads = _Loads(pasts.take(layout.windows), layout)
    end = layout.last + 1
    level = loads.mean(np.array([end - layout.level]), np.array([end])).astype(np.float64)
    lately = _lately(loads, layout)
    days = _of_days(loads, layout)
    spread = _spread(lately[0], days[:, 0] - days[:, 3])
    wide = spread[:, len(horizons) - 1 : len(horizons)]
    asks = np.stack([*_seasonal(days, level, spread), *_moves(lately, spread), *layout.ahead_of(level), np.log(spread)])
    statics = np.concatenate([_clock(pasts, level, wide), ~np.isnan(days[:, 0, :, 0]).T], axis=1)
    return Inputs(
        tokens=_tokens(loads, layout, level.astype(np.float32), wide.astype(np.float32)),
        asks=np.ascontiguousarray(_clean(asks).transpose(1, 2, 0)),
        statics=_clean(statics),
        level=level[:, 0],
        spread=spread,
    )


def _log(loads: FloatArray) -> Float32Array:
    """In single precision, ten times as fast and more than the features need."""
    out = np.add(loads, FLOOR, out=np.empty(loads.shape, dtype=np.float32), casting="same_kind")
    return np.asarray(np.log(out, out=out))


class _Loads:
    """What was taken, its logarithms, and its sums.

    Args:
        loads: See `Pasts.take`; shape (N, columns).
        layout: Which column is what.
    """

    def __init__(self, loads: FloatArray, layout: Layout) -> None:
        missing = np.isnan(loads)
        self.missing = missing if missing.any() else None
        self.loads = loads if self.missing is None else np.where(missing, 0.0, loads)
        columns = layout.last + 1
        #: -inf where unknown; a column more, for reductions end before a column
        self.log = _log(loads[:, : columns + 1])
        self._total = np.zeros((len(loads), columns + 1))
        np.cumsum(self.loads[:, :columns], axis=1, out=self._total[:, 1:])
        self._known: IntArray | None = None
        if self.missing is not None:
            self.log[missing[:, : columns + 1]] = -np.inf
            self._known = np.zeros(self._total.shape, dtype=np.int64)
            np.cumsum(~missing[:, :columns], axis=1, out=self._known[:, 1:])

    def mean(self, first: IntArray, end: IntArray) -> Float32Array:
        """Log of the mean of columns from `first` on before `end`, NaN where none is known; shape (N, *indices)."""
        total = self._total.take(end, axis=1) - self._total.take(first, axis=1)
        known = end - first if self._known is None else self._known.take(end, axis=1) - self._known.take(first, axis=1)
        return _log(_ratio(np.maximum(total, 0.0, out=total), known))

    def rolling_mean(self, first: int, end: int, width: int) -> Float32Array:
        """The same of any `width` columns in a row from `first` on before `end`; shape (N, end - first - width + 1)."""
        late, early = slice(first + width, end + 1), slice(first, end + 1 - width)
        total = self._total[:, late] - self._total[:, early]
        known = width if self._known is None else self._known[:, late] - self._known[:, early]
        return _log(_ratio(np.maximum(total, 0.0, out=total), known))

    def bins(self, edges: IntArray) -> tuple[Float32Array, FloatArray | float]:
        """Log of the mean in each bin and the share that is known; each (N, *bins). `edges`: (*bins, 2)."""
        shape, at = (len(self.loads), *edges.shape[:-1]), edges.reshape(-1)
        total = np.add.reduceat(self.loads, at, axis=1)[:, ::2].reshape(shape)
        held = edges[..., 1] - edges[..., 0]
        if self.missing is None:
            return _log(_ratio(total, held)), 1.0
        known = np.add.reduceat(~self.missing, at, axis=1, dtype=np.int64)[:, ::2].reshape(shape)
        return _log(_ratio(total, known)), known / held


def _ratio(total: FloatArray, count: IntArray | int) -> FloatArray:
    """NaN where there is none."""
    if isinstance(count, int):
        return np.divide(total, count, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # sums of nothing are 0
        return np.divide(total, count, dtype=np.float64)


def _rolling_highest(log: Float32Array, wanted: Sequence[int]) -> dict[int, Float32Array]:
    """Maximum of w columns from every column on, for each w in increasing order; -inf where all are unknown."""
    highest, width, out = log, 1, {}
    for w in wanted:
        while width < w:
            by = min(width, w - width)
            highest, width = np.maximum(highest[..., by:], highest[..., :-by]), width + by
        out[w] = highest
    return out


def _known(extremes: Float32Array) -> Float32Array:
    """NaN instead of what is the extreme of nothing."""
    return np.where(np.isinf(extremes), np.float32(np.nan), extremes)


def _lately(loads: _Loads, layout: Layout) -> FloatArray:
    """How log-loads moved from positions of the last day, for each ask.

    Returns:
        Mean square over the day and, for each of `Layout.lately`, mean square, mean and maximum; shape (7, N, A).
        NaN where nothing is known.
    """
    width, end = layout.level, layout.last + 1 - layout.first
    level = loads.rolling_mean(layout.first, layout.last + 1, width)
    log = loads.log[:, layout.first :]
    horizons = layout.horizons.tolist()  # on a coarse grid some are there twice
    highest = _rolling_highest(log, horizons)

    def back(begin: int) -> slice:
        """The latest moves whose outcome is known: they end now, some minutes ago, ..."""
        return slice(begin, begin - layout.day, -layout.stride)

    ended = log[:, back(end - 1)]
    moves = np.empty((len(log), 2, len(horizons), ended.shape[1]), dtype=np.float32)
    for i, horizon in enumerate(horizons):
        began = level[:, back(end - horizon - width)]
        np.subtract(ended, began, out=moves[:, 0, i])
        np.subtract(highest[horizon][:, back(end - horizon)], began, out=moves[:, 1, i])
    return _summed(moves.reshape(len(log), -1, ended.shape[1]), layout)


def _summed(moves: Float32Array, layout: Layout) -> FloatArray:
    """What `_lately` tells of the moves, the latest first; shape (7, N, A)."""
    known = np.isfinite(moves)
    unknown = None if known.all() else ~known
    if unknown is not None:
        moves[unknown] = 0.0
    squares = np.square(moves)
    out = np.empty((1 + 3 * len(layout.lately), *moves.shape[:2]))
    for i, count in enumerate((moves.shape[2], *layout.lately)):
        some = slice(0, count)
        held = min(count, moves.shape[2]) if unknown is None else np.count_nonzero(known[..., some], axis=2)
        at = max(0, 3 * i - 2)
        out[at] = _ratio(squares[..., some].sum(axis=2), held)
        if i:
            seen = moves[..., some]
            out[at + 1] = _ratio(seen.sum(axis=2), held)
            if unknown is not None:
                seen = np.where(unknown[..., some], np.float32(-np.inf), seen)
            out[at + 2] = _known(seen.max(axis=2))
    return out


def _of_days(loads: _Loads, layout: Layout) -> FloatArray:
    """What came after the same time on former days.

    Returns:
        For each ask: what came, its mean around then, the highest around then, and the level then; shape
        (days, 4, N, A).
    """
    around, near, half = layout.around, layout.near, len(layout.horizons)
    begin, then = layout.before + 1, layout.before + layout.horizons
    days = layout.width * np.arange(len(DAYS))[:, None]
    log = loads.log[:, : layout.first].reshape(-1, len(DAYS), layout.width)
    wide = np.maximum.accumulate(log[..., begin - around :], axis=2)
    peak = np.maximum.accumulate(log[..., begin:], axis=2)
    out = np.empty((len(DAYS), 4, len(log), 2 * half), dtype=np.float32)
    by_day = out.transpose(2, 0, 1, 3)  # origins first, as in the loads
    by_day[:, :, 0, :half], by_day[:, :, 0, half:] = log[..., then], peak[..., then - begin]
    by_day[:, :, 1, :half] = loads.mean(days + then - near, days + then + near + 1)
    by_day[:, :, 1, half:] = loads.mean(days + begin, days + then + 1)
    by_day[:, :, 2, :half] = _rolling_highest(log, (2 * around + 1,))[2 * around + 1][..., then - around]
    by_day[:, :, 2, half:] = wide[..., then - begin + 2 * around]
    by_day[:, :, 3] = loads.mean(days + begin - layout.level, days + begin)
    return _known(out).astype(np.float64)


def _spread(mean_square: FloatArray, ramps: FloatArray) -> FloatArray:
    """Root mean square of moves: of the last day's, and of those from the same time of former days; shape (N, A)."""
    missing = np.isnan(ramps)
    total, count = np.square(np.where(missing, 0.0, ramps)).sum(axis=0), (~missing).sum(axis=0)
    usual = _USUAL_MOVE**2
    day = np.where(np.isnan(mean_square), usual, (48 * mean_square + _USUAL_COUNT * usual) / (48 + _USUAL_COUNT))
    clock = (total + 2 * day) / (count + 2)
    return np.asarray(np.sqrt((day + clock) / 2) + 0.01)


def _seasonal(days: FloatArray, level: FloatArray, spread: FloatArray) -> list[FloatArray]:
    """Former days in units of the spread; 15 of shape (N, A). `days`: (days, 4, N, A)."""
    then = days[:, 3]
    # what came, against the level then; its mean then; the highest around then; what came, against the level now
    ratios = np.stack([days[:, 0] - then, days[:, 1] - then, days[:, 2] - then, days[:, 0] - level])
    ratios /= spread
    missing = np.isnan(ratios)
    known = (~missing).sum(axis=1)
    zeroed = np.where(missing, 0.0, ratios)
    ramps, steady, wide, against = (_ratio(zeroed[i].sum(axis=0), known[i]) for i in range(4))
    lowest = np.where(missing, np.inf, ratios)[3].min(axis=0)
    ratios_or_least = np.where(missing, -np.inf, ratios)
    highest = _known(ratios_or_least.max(axis=1))
    recent = _ratio(zeroed[0, :3].sum(axis=0), (~missing[0, :3]).sum(axis=0))
    spreading = _ratio(np.square(zeroed[0]).sum(axis=0), known[0]) - np.square(ramps)
    return [
        ratios[0, 0],
        ratios[0, 6],
        ramps,
        highest[0],
        steady,
        wide,
        _known(ratios_or_least[2, :7].max(axis=0)),
        recent,
        ratios[3, 0],
        ratios[3, 6],
        against,
        highest[3],
        _known(lowest),
        ratios[1, 0] + (then[0] - level) / spread,
        np.sqrt(np.maximum(spreading, 0.0)),
    ]


def _moves(lately: FloatArray, spread: FloatArray) -> FloatArray:
    """The last hour's and the last six hours' moves in units of the spread; shape (7, N, A)."""
    squares = [0, 1, 4]
    out = lately.copy()
    out[squares] = np.sqrt(lately[squares])
    out /= spread
    return out


def _tokens(loads: _Loads, layout: Layout, level: Float32Array, spread: Float32Array) -> Float32Array:
    """The sequence: for each bin mean, highest and lowest, share known, the same bin of other days, its width."""
    mean, share = loads.bins(layout.bins)
    today = layout.bins[0].reshape(-1)
    log = loads.log
    # mean, highest, lowest; means of the other days
    found = np.empty((len(log), 3 + len(BESIDE), TOKENS[0]), dtype=np.float32)
    found[:, 0], found[:, 3:] = mean[:, 0], mean[:, 1:]
    found[:, 1] = _known(np.maximum.reduceat(log, today, axis=1)[:, ::2])
    if loads.missing is not None:
        log = np.where(np.isneginf(log), np.float32(np.inf), log)
    found[:, 2] = _known(np.minimum.reduceat(log, today, axis=1)[:, ::2])
    found -= level[:, :, None]
    found /= spread[:, :, None]
    by_bin = _clean(found).transpose(0, 2, 1)
    out = np.empty((len(log), *TOKENS), dtype=np.float32)
    out[:, :, :3], out[:, :, 4:-1:2] = by_bin[:, :, :3], by_bin[:, :, 3:]
    out[:, :, 3:-1:2] = share if isinstance(share, float) else share.transpose(0, 2, 1)
    out[:, :, -1] = layout.widths
    return out


def _clock(pasts: Pasts, level: FloatArray, spread: FloatArray) -> FloatArray:
    """Time of day, of the week and of the hour, the level, the spread and the step; shape (N, 12)."""
    seconds = pasts.times[:, None]
    angle = 2 * math.pi * (seconds % _PERIODS) / _PERIODS
    out = np.empty((len(seconds), 12))
    out[:, 0:8:2], out[:, 1:8:2] = np.sin(angle), np.cos(angle)
    out[:, 8:9], out[:, 9:10] = level / 3, (seconds // 86400 + 3) % 7 >= 5
    out[:, 10:11], out[:, 11] = np.log(spread), math.log(pasts.step / 60) / 2
    return out


def _clean(x: NDArray[np.floating[Any]]) -> Float32Array:
    """Unknown as 0, extremes cut, in single precision; overwrites what it is given."""
    x[np.isnan(x)] = 0.0
    np.minimum(np.maximum(x, -_CUT, out=x), _CUT, out=x)
    return np.asarray(x, dtype=np.float32)
