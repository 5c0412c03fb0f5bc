"""From what is seen of the past at some origins to features: the arithmetic, whichever way the past is looked at.

Everything is a log-ratio to the *level*, the mean of the last quarter of an hour, so one model serves a series
of 3 requests a minute and one of 3 million. For a window of h steps ahead, the same window 1 to 14 days ago is
seen twice: against the level now, and against the level then (its *ramp*); so are the same hour and the series'
own period. The clock, rolling means, maxima and the ramps of the recent past do the rest.

In shapes, N is the number of origins, or of series seen at their ends; A that of asks, which are a horizon and a kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from forecasting.features.rolling import Float32Array, filled_forward, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = [
    "COARSE",
    "DAYS",
    "FINE",
    "FLOOR",
    "LAGS",
    "MAXIMA",
    "MEANS",
    "MINIMA",
    "MISSING",
    "MOVES",
    "NEAR",
    "PERIODS_BACK",
    "RECENT",
    "SPREADS",
    "WEEK",
    "WIDE",
    "Recent",
    "Rows",
    "Seasonal",
    "level_steps",
    "loads_of",
    "log_mean",
    "log_of",
    "rows_of",
    "steps_in",
]

DAYS, WEEK = 14, 7
# What trees see where nothing is known: far below every log-ratio.
MISSING = -20.0
# Added to loads before ratios are taken, as a share of the series' scale: an idle minute is no infinity.
FLOOR = 0.02
# Resolutions of sums of loads, of single days, and of log-ratios.
FINE, _MEDIUM, COARSE = 2.0**17, 2.0**16, 2.0**12
_HIGHEST = 2.0**20  # loads above so many times the scale are cut
_FILL = 15  # minutes through which a missing sample takes the last known one
# A series that has shown no ramps yet is taken to move like this, with the weight of so many samples.
_USUAL_RAMP, _USUAL_COUNT = 0.25, 20

LAGS = (0, 1, 2, 3, 4, 6, 9, 14)  # steps
MEANS = (5, 30, 60, 120, 360, 720, 1440, 4320)  # minutes, as are all below
MAXIMA = (5, 15, 60, 180, 720, 1440, 4320, 10080)
MINIMA = (15, 60, 360, 1440)
SPREADS = (15, 60, 360, 1440)
MOVES = (10, 60, 1440)
RECENT = (60, 360, 1440)
WIDE, NEAR = 15, 3  # around the same time of day
PERIODS_BACK = 4
_EARLIER_OF = (0, 1, 2, 2)  # which of MEANS are compared with those before them, a day and a week ago
_SAME_DAYS = np.array([1, 2, 3, 7, 14]) - 1
_SEEN_TWICE = np.array([0, 1, 4, 5])  # what came and ramps, of all days and of the week
# How many features there are, how many of them are log-ratios, and of these, of days.
_FEATURES, _RATIOS, _OF_DAYS = 101, 87, 36


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recent:
    """What does not depend on the horizon; logs of loads in units, NaN where unknown.

    Attributes:
        level: Of the last quarter of an hour; shape (N,).
        lags: At LAGS; shape (LAGS, N).
        means: Over MEANS; shape (MEANS, N).
        earlier: Over the 5 and 30 minutes before the latest, over the same hour a day and a week ago; shape (4, N).
        highest: Over MAXIMA; shape (MAXIMA, N).
        lowest: Over MINIMA; shape (MINIMA, N).
        spreads: Sums, sums of squares and numbers over SPREADS; shape (3, SPREADS, N).
        moves: Sums and numbers of absolute changes over MOVES; shape (2, MOVES, N).
        local: What the clocks show that the load follows, as seconds since 1970; shape (N,).
        weekday: A moment of the weekday that the day is like; shape (N,).
    """

    level: Float32Array
    lags: Float32Array
    means: Float32Array
    earlier: Float32Array
    highest: Float32Array
    lowest: Float32Array
    spreads: FloatArray
    moves: FloatArray
    local: IntArray
    weekday: IntArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Seasonal:
    """What such a window as is asked for was like before: what came, and its ramp, the ratio to the level then.

    Attributes:
        came: Logs of what came, 1 to DAYS days ago; shape (A, DAYS, N).
        ramps: The same as ramps; shape (A, DAYS, N).
        around: Sums, sums of squares and numbers of the ramps within WIDE minutes; shape (3, A, DAYS, N).
        top: The highest of them; shape (A, DAYS, N).
        close: The highest within NEAR minutes, in the week; shape (A, WEEK, N).
        latest: Sums, sums of squares and numbers of the ramps that came true over RECENT; shape (3, RECENT, A, N).
        highest: The highest of them; shape (RECENT, A, N).
        cycle: What came 1 to PERIODS_BACK hours ago, and periods; shape (2, A, PERIODS_BACK, N).
        cycle_ramps: The same as ramps; shape (2, A, PERIODS_BACK, N).
    """

    came: Float32Array
    ramps: Float32Array
    around: FloatArray
    top: Float32Array
    close: Float32Array
    latest: FloatArray
    highest: Float32Array
    cycle: Float32Array
    cycle_ramps: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Features of some origins for some horizons.

    Attributes:
        x: Features, MISSING where unknown; shape (M, F), M the number of asks x origins, ask by ask.
        level: Log of the level in units; shape (M,). NaN where the origin's recent past is unknown.
        spread: How far log-ratios moved within such a horizon lately, root mean square; positive, shape (M,).
        ratios: The first so many features are log-ratios.
    """

    x: Float32Array
    level: Float32Array
    spread: Float32Array
    ratios: int

    def part(self, first: int, count: int) -> Rows:
        """Some of the rows."""
        some = slice(first, first + count)
        return Rows(self.x[some], self.level[some], self.spread[some], self.ratios)

    def standardised(self) -> Float32Array:
        """The features with log-ratios divided by the spread, so that calm and rough series look alike."""
        x = self.x.copy()
        ratios = x[:, : self.ratios]
        np.divide(ratios, self.spread[:, None], out=ratios, where=ratios != MISSING)
        return x


def steps_in(minutes: float, step: int) -> int:
    """So many minutes in steps of so many seconds, 1 at least."""
    return max(1, round(minutes * 60 / step))


def level_steps(step: int) -> int:
    """What the level is the mean of: a quarter of an hour, three steps at least."""
    return steps_in(max(15, 3 * step / 60), step)


def loads_of(series: TimeSeries, unit: float) -> Float32Array:
    """Loads in units, none negative; what is missing takes the last known one for a quarter of an hour."""
    with np.errstate(over="ignore", under="ignore"):
        units = series.values / unit
    known = filled_forward(units, steps_in(_FILL, series.step))
    np.maximum(known, 0.0, out=known)
    return np.minimum(known, _HIGHEST, out=known).astype(np.float32)


def log_of(load: Float32Array) -> Float32Array:
    """Of loads in units."""
    return np.asarray(np.log(load + np.float32(FLOOR)), dtype=np.float32)


def log_mean(total: FloatArray, count: FloatArray) -> Float32Array:
    """Of loads in units, by their sum and number; NaN where the number is 0."""
    return log_of(ratio(total, count).astype(np.float32))


def rows_of(recent: Recent, seasonal: Seasonal, horizons: IntArray, step: int) -> Rows:
    """Features in the order that models are trained on.

    Args:
        recent: What does not depend on the horizon.
        seasonal: What does.
        horizons: Of the asks, in steps; shape (A,).
        step: Seconds.
    """
    seasonal = _unseen_left_out(seasonal, horizons, step)
    asks, n = seasonal.came.shape[0], seasonal.came.shape[2]
    x = np.empty((_FEATURES, asks, n), dtype=np.float32)
    with np.errstate(invalid="ignore"):  # nothing by nothing is unknown
        ratios, others = _recent(recent)
        x[: len(ratios)] = ratios[:, None]
        x[_RATIOS:-2] = others[:, None]
        _put_days(x[len(ratios) : len(ratios) + _OF_DAYS], recent.level, seasonal)
        _put_latest(x[len(ratios) + _OF_DAYS : _RATIOS], recent.level, seasonal)
        x[-2] = _spread(seasonal)
    x[-1] = np.log(horizons * step / 60)[:, None]
    spread = x[-2].reshape(-1).copy()
    x[~np.isfinite(x)] = MISSING
    flat = np.ascontiguousarray(x.reshape(len(x), -1).T)
    return Rows(flat, np.tile(recent.level, asks), spread, _RATIOS)


def _unseen_left_out(seen: Seasonal, horizons: IntArray, step: int) -> Seasonal:
    """Without the days whose window reaches beyond the origin: only a horizon of about a day and more has such."""
    day, wide = steps_in(1440, step), steps_in(WIDE, step)
    if horizons.max() + wide <= day:
        return seen
    days = day * np.arange(1, DAYS + 1)
    then, around = days < horizons[:, None], days < horizons[:, None] + wide

    def without(values: NDArray[Any], days: NDArray[np.bool_], filler: float) -> NDArray[Any]:
        return np.where(days[:, : values.shape[-2], None], values.dtype.type(filler), values)

    return replace(
        seen,
        came=without(seen.came, then, np.nan),
        ramps=without(seen.ramps, then, np.nan),
        around=without(seen.around, around, 0.0),
        top=without(seen.top, around, np.nan),
        close=without(seen.close, around, np.nan),
    )


def _recent(seen: Recent) -> tuple[Float32Array, Float32Array]:
    """Log-ratios, and other features; each of shape (features, N)."""
    against = np.concatenate([seen.lags, seen.means, seen.highest, seen.lowest]) - seen.level
    total, squares, count = seen.spreads
    variance = squares / count - (total / count) ** 2
    minute = (seen.local % 86400) // 60
    clock = (minute, (seen.weekday // 86400 + 4) % 7, minute % 60, minute % 15)
    others = (seen.level[None], np.sqrt(np.maximum(variance, 0.0)), seen.moves[0] / seen.moves[1], clock)
    return (
        np.concatenate([against, seen.means[_EARLIER_OF, :] - seen.earlier]),
        np.concatenate(others, dtype=np.float32, casting="unsafe"),
    )


def _put_days(x: Float32Array, level: Float32Array, seen: Seasonal) -> None:
    """Single days, and statistics over one and two weeks; around the time of day, for bursts early or late."""
    asks, _, n = seen.came.shape
    # what came, ramps, their means and the highest around the time of day; then the week's, and the highest close to it
    days: Float32Array = np.full((9, asks, DAYS, n), np.nan, dtype=np.float32)
    days[0] = seen.came - level
    days[1] = seen.ramps
    days[2] = seen.around[0] / seen.around[2]
    days[3] = seen.top
    days[4:8, :, :WEEK] = days[:4, :, :WEEK]
    days[8, :, :WEEK] = seen.close
    known = ~np.isnan(days)
    mean, highest = _mean(days, known), np.fmax.reduce(days, axis=2)
    median = _median(days, known)
    scatter = (days - mean[:, :, None])[_SEEN_TWICE]
    spread = np.sqrt(_mean(scatter * scatter, known[_SEEN_TWICE]))
    singles = 2 * len(_SAME_DAYS)
    x[0:singles:2], x[1:singles:2] = (np.moveaxis(days[view][:, _SAME_DAYS], 1, 0) for view in (0, 1))
    for at, two in ((singles, slice(4, 6)), (singles + 8, slice(2))):  # the week, then all days
        x[at : at + 2], x[at + 2 : at + 4], x[at + 6 : at + 8] = highest[two], median[two], mean[two]
    x[singles + 4 : singles + 6], x[singles + 12 : singles + 14] = spread[2:], spread[:2]
    rest = x[singles + 16 :]
    rest[:2] = np.fmin.reduce(days[4:6], axis=2)
    of_clock = (mean[6], mean[2], highest[7], median[7], mean[3], median[8], seen.top[:, 0], seen.top[:, WEEK - 1])
    for row, part in zip(rest[2:], of_clock, strict=True):
        row[:] = part


def _put_latest(x: Float32Array, level: Float32Array, seen: Seasonal) -> None:
    """Ramps of the recent past, and what came some hours and periods ago."""
    total, squares, count = seen.latest
    spans = 3 * len(RECENT)
    x[0:spans:3] = total / count
    x[1:spans:3] = seen.highest
    x[2:spans:3] = np.sqrt(squares / count)
    cycles = np.stack([seen.cycle - level, seen.cycle_ramps], axis=1)
    rest = x[spans:].reshape(len(cycles), (len(x) - spans) // len(cycles), *x.shape[1:])
    rest[:, :2] = cycles[:, :, :, 0]
    rest[:, 2:4] = _mean(cycles, ~np.isnan(cycles))
    rest[:, 4] = np.fmax.reduce(seen.cycle_ramps, axis=2)


def _spread(seen: Seasonal) -> FloatArray:
    """How far log-ratios moved lately and around the same time of day; shape (A, N)."""
    usual = _USUAL_COUNT * _USUAL_RAMP**2
    variance = (seen.latest[1, -1] + usual) / (seen.latest[2, -1] + _USUAL_COUNT)
    _, squares, count = seen.around.sum(axis=2)
    variance += (squares + usual) / (count + _USUAL_COUNT)
    return np.asarray(np.sqrt(variance / 2) + 0.01)


def _mean(days: Float32Array, known: NDArray[np.bool_]) -> Float32Array:
    """Mean of what is known along the last axis but one, rounded so that sums are exact; NaN where nothing is."""
    units = np.rint(np.where(known, days, np.float32(0.0)) * np.float32(_MEDIUM))
    total = units.sum(axis=-2) / np.float32(_MEDIUM)
    return np.asarray(total / known.sum(axis=-2, dtype=np.float32))


def _median(days: Float32Array, known: NDArray[np.bool_]) -> Float32Array:
    """Median of what is known of DAYS along the last axis but one; NaN where nothing is."""
    ranked = np.sort(np.where(known, days, np.finfo(np.float32).max), axis=-2)
    weights = _MIDDLE[known.sum(axis=-2)]
    return np.asarray((ranked * np.swapaxes(weights, -1, -2)).sum(axis=-2))


def _middle() -> Float32Array:
    """How much each of so many ranked numbers is of their median: by how many there are, and the rank."""
    out = np.zeros((DAYS + 1, DAYS), dtype=np.float32)
    for count in range(1, DAYS + 1):
        out[count, (count - 1) // 2] += 0.5
        out[count, count // 2] += 0.5
    out[0] = np.nan
    return out


_MIDDLE = _middle()
