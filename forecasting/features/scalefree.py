"""Scale-free features of a series' recent past, and the scale-free targets they are to explain.

Everything is a log-ratio to the *level*, the mean of the last quarter of an hour, so one model serves a series
of 3 requests a minute and one of 3 million. For a window of h steps ahead, the same window 1 to 14 days ago is
seen twice: against the level now, and against the level then (its *ramp*); so are the same hour and the series'
own period. The clock, rolling means, maxima and the ramps of the recent past do the rest.

Positions are computed independently of where the array begins: a forecast from the latest two weeks equals
the one that a backtest over a year computes for the same moment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from forecasting.features.rolling import Float32Array, Track, filled_forward, ratio, rolling_maximum, shifted
from forecasting.prepare.calendar import Holidays, local_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["DAYS", "FLOOR", "MISSING", "Kind", "Past", "Rows", "Scale"]

Kind: TypeAlias = Literal["value", "peak"]

DAYS = 14
# What trees see where nothing is known: far below every log-ratio.
MISSING = -20.0
# Added to loads before ratios are taken, as a share of the series' scale: an idle minute is no infinity.
FLOOR = 0.02
_HIGHEST = 2.0**20  # loads above so many times the scale are cut
# Resolutions of sums of loads, of single days, and of log-ratios.
_FINE, _MEDIUM, _COARSE = 2.0**17, 2.0**16, 2.0**12
_FILL = 15  # minutes through which a missing sample takes the last known one
# A series that has shown no ramps yet is taken to move like this, with the weight of so many samples.
_USUAL_RAMP, _USUAL_COUNT = 0.25, 20

_LAGS = (0, 1, 2, 3, 4, 6, 9, 14)  # steps
_MEANS = (5, 30, 60, 120, 360, 720, 1440, 4320)  # minutes, as are all below
_MAXIMA = (5, 15, 60, 180, 720, 1440, 4320, 10080)
_MINIMA = (15, 60, 360, 1440)
_SPREADS = (15, 60, 360, 1440)
_MOVES = (10, 60, 1440)
_RECENT = (60, 360, 1440)
_SAME_DAYS = (1, 2, 3, 7, 14)


@dataclass(frozen=True, slots=True)
class Scale:
    """What is fixed when a model is fitted to a series.

    Attributes:
        unit: A high quantile of the load: loads are divided by it.
        period: Steps of the series' strongest period, 0 if it has none besides the calendar's.
    """

    unit: float
    period: int

    @classmethod
    def of(cls, values: FloatArray) -> Scale:
        """The unit of these loads, NaN left out; period 0. Loads of nothing but zeros have unit 1."""
        known = np.maximum(values[~np.isnan(values)], 0.0)
        if not known.size or known.max() == 0:
            return cls(1.0, 0)
        high = float(np.quantile(known / known.max(), 0.95) * known.max())
        return cls(high if high > 0 else float(known.max()), 0)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Features of some origins for some horizons.

    Attributes:
        x: Features, MISSING where unknown; shape (N, F), N the number of asks x origins, ask by ask.
        level: Log of the level in units; shape (N,). NaN where the origin's recent past is unknown.
        spread: How far log-ratios moved within such a horizon lately, root mean square; positive, shape (N,).
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


class Past:
    """A series prepared for taking features at any of its positions.

    Args:
        series: The past; positions are indices into its values.
        scale: Unit and period.
        zone: Whose clocks the load follows.
        holidays: Days whose weekday is that of rest.
    """

    def __init__(
        self, series: TimeSeries, scale: Scale, *, zone: str = "UTC", holidays: Holidays | None = None
    ) -> None:
        self._zone = zone
        self._holidays = holidays or Holidays()
        self._step = series.step
        self._start = series.start
        self._period = scale.period
        self._n = len(series)
        with np.errstate(over="ignore", under="ignore"):
            units = series.values / scale.unit
        load: Float32Array = np.clip(filled_forward(units, self._steps(_FILL)), 0.0, _HIGHEST).astype(np.float32)
        self._load = Track(load[None], _FINE)
        self._log = Track(_log(self._load.values), _COARSE)
        moves = np.full((1, self._n), np.nan, dtype=np.float32)
        moves[:, 1:] = np.abs(np.diff(self._log.values))
        self._moves = Track(moves, _COARSE)
        self._lowest = Track(-self._log.values, _COARSE)
        every = np.arange(self._n, dtype=np.int64)
        #: Log of the level in units at every position, NaN where unknown; shape (n,).
        self.level: Float32Array = self._log_mean(every, max(15, 3 * self._step / 60))

    @staticmethod
    def reach(step: int, horizon: int) -> int:
        """How many samples back features look, for horizons up to `horizon` and any period up to a week."""
        return DAYS * 86400 // step + 2 * horizon + math.ceil(7200 / step) + 40

    def target(self, horizon: int, kind: Kind) -> Float32Array:
        """Log-ratio of the coming value or peak to the level, at every position; NaN where unknown; shape (n,)."""
        return self._ahead(horizon, kind) - self.level

    def rows(self, origins: IntArray, asks: Sequence[tuple[int, Kind]]) -> Rows:
        """Features at these positions, from samples up to each and nothing later.

        Args:
            origins: Positions; shape (N,).
            asks: Horizons in steps, 1 or more, and whether the value there or the peak up to there is to be
                explained.
        """
        recent, around = self._recent(origins)
        seasonal, spread = self._seasonal(origins, asks)
        ahead = np.array([math.log(horizon * self._step / 60) for horizon, _ in asks], dtype=np.float32)
        shape = (len(asks), len(origins))
        x = np.empty((len(recent) + len(seasonal) + len(around) + 2, *shape), dtype=np.float32)
        for row, part in enumerate([*recent, *seasonal, *around, spread, ahead[:, None]]):
            x[row] = part
        x[~np.isfinite(x)] = MISSING
        level = np.tile(self.level[origins], len(asks))
        flat = np.ascontiguousarray(x.reshape(len(x), -1).T)
        return Rows(flat, level, spread.reshape(-1), len(recent) + len(seasonal))

    def _ahead(self, horizon: int, kind: Kind) -> Float32Array:
        log = self._log.values[0]
        return shifted(log if kind == "value" else rolling_maximum(log, horizon), horizon)

    def _steps(self, minutes: float) -> int:
        return max(1, round(minutes * 60 / self._step))

    def _recent(self, origins: IntArray) -> tuple[list[Float32Array], list[Float32Array]]:
        """Features that do not depend on the horizon, each of shape (N,): log-ratios, and others."""
        level = self.level[origins]
        log, ends = self._log, origins[None]
        highest = dict(zip(_MAXIMA, log.nested_highest(ends, [self._steps(w) for w in _MAXIMA]), strict=True))
        lowest = dict(zip(_MINIMA, self._lowest.nested_highest(ends, [self._steps(w) for w in _MINIMA]), strict=True))
        total, _, count = self._load.nested_sums(ends, [self._steps(w) for w in _MEANS])
        means = dict(zip(_MEANS, _log(ratio(total, count)[:, 0].astype(np.float32)), strict=True))
        out = [*(log.at(origins - np.array(_LAGS)[None, :, None])[0] - level)]
        out += [means[w] - level for w in _MEANS]
        out += [highest[w][0] - level for w in _MAXIMA]
        out += [-lowest[w][0] - level for w in _MINIMA]
        out += [means[w] - self._log_mean(origins - self._steps(w), w) for w in (5, 30)]
        day = self._steps(1440)
        out += [means[60] - self._log_mean(origins - back * day, 60) for back in (1, 7)]
        others = [level]
        total, squares, count = (part[:, 0] for part in log.nested_sums(ends, [self._steps(w) for w in _SPREADS]))
        variance = ratio(squares, count) - ratio(total, count) ** 2
        others += list(np.sqrt(np.maximum(variance, 0.0)).astype(np.float32))
        total, _, count = self._moves.nested_sums(ends, [self._steps(w) for w in _MOVES])
        others += list(ratio(total, count)[:, 0].astype(np.float32))
        local = local_times(self._start + self._step * origins, self._zone)
        minute = (local % 86400) // 60
        clock = (minute, (self._holidays.moved(local) // 86400 + 4) % 7, minute % 60, minute % 15)
        return out, others + [part.astype(np.float32) for part in clock]

    def _seasonal(self, origins: IntArray, asks: Sequence[tuple[int, Kind]]) -> tuple[list[Float32Array], Float32Array]:
        """What the same window earlier was like: days, hours and periods ago, and lately; and the spread.

        All of shape (A, N), A the number of asks. Against the level now that is what *came*; against the level
        then, a *ramp*.
        """
        ahead = np.stack([self._ahead(horizon, kind) for horizon, kind in asks])
        came, ramps = Track(ahead, _COARSE), Track(ahead - self.level, _COARSE)
        level = self.level[origins]
        day, wide, near = self._steps(1440), self._steps(15), self._steps(3)
        back = origins - day * np.arange(1, DAYS + 1)[None, :, None]
        out = _of_days(np.stack([came.at(back) - level, ramps.at(back)]))
        total, squares, count = ramps.sums(back + wide, 2 * wide + 1)
        clock = ratio(total, count).astype(np.float32), ramps.highest(back + wide, 2 * wide + 1)
        out += _of_clock(*clock, ramps.highest(back[:, :7] + near, 2 * near + 1))
        known = np.array([horizon for horizon, _ in asks])[:, None]  # the latest ramp that has come true
        latest = origins - known
        recent = [self._steps(w) for w in _RECENT]
        totals, square, held = ramps.nested_sums(latest, recent)
        highest = ramps.nested_highest(latest, recent)
        for i in range(len(_RECENT)):
            out += [ratio(totals[i], held[i]).astype(np.float32), highest[i]]
            out.append(np.sqrt(ratio(square[i], held[i])).astype(np.float32))
        usual = _USUAL_COUNT * _USUAL_RAMP**2
        variance = (square[-1] + usual) / (held[-1] + _USUAL_COUNT)
        for period in (self._steps(60), self._period or self._steps(60)):
            first = -(-known // period) + np.arange(4)
            lags = origins - period * first[:, :, None]
            then, ramp = came.at(lags) - level, ramps.at(lags)
            out += [then[:, 0], ramp[:, 0], _mean(then), _mean(ramp), np.fmax.reduce(ramp, axis=1)]
        variance += (squares.sum(axis=1) + usual) / (count.sum(axis=1) + _USUAL_COUNT)
        return out, (np.sqrt(variance / 2) + 0.01).astype(np.float32)

    def _log_mean(self, ends: IntArray, minutes: float) -> Float32Array:
        return _log(self._load.mean(ends[None], self._steps(minutes))[0].astype(np.float32))


def _log(load: Float32Array) -> Float32Array:
    return np.asarray(np.log(load + np.float32(FLOOR)), dtype=np.float32)


def _of_days(days: Float32Array) -> list[Float32Array]:
    """Single days, and statistics over one and two weeks, of both views of them; `days`: (2, A, DAYS, N)."""
    out = [days[view, :, d - 1] for d in _SAME_DAYS for view in (0, 1)]
    for span in (7, DAYS):
        some = days[:, :, :span]
        mean = _mean(some)
        spread = np.sqrt(_mean((some - mean[:, :, None]) ** 2))
        for statistic in (np.fmax.reduce(some, axis=2), _median(some), spread, mean):
            out += [statistic[0], statistic[1]]
    lowest = np.fmin.reduce(days[:, :, :7], axis=2)
    return [*out, lowest[0], lowest[1]]


def _of_clock(mean: Float32Array, top: Float32Array, close: Float32Array) -> list[Float32Array]:
    """Ramps around the same time of day, each (A, days, N): a burst a few minutes early or late is seen."""
    week = _median(np.stack([top[:, :7], close]))
    long = _mean(np.stack([mean, top]))
    highest = np.fmax.reduce(top[:, :7], axis=1)
    return [_mean(mean[:, :7]), long[0], highest, week[0], long[1], week[1], top[:, 0], top[:, 6]]


def _mean(days: Float32Array) -> Float32Array:
    """Mean of what is known along the last axis but one, rounded so that sums are exact; NaN where nothing is."""
    missing = np.isnan(days)
    units = np.rint(np.where(missing, 0.0, days) * _MEDIUM)
    total = units.sum(axis=-2) / _MEDIUM
    count = days.shape[-2] - missing.sum(axis=-2, dtype=np.float32)
    return ratio(total, count).astype(np.float32)


def _median(days: Float32Array) -> Float32Array:
    """Median of what is known along the last axis but one; NaN where nothing is."""
    ranked = np.sort(days, axis=-2)  # NaN goes last
    count = days.shape[-2] - np.isnan(days).sum(axis=-2, keepdims=True)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, days.shape[-2] - 1)
    both = np.take_along_axis(ranked, low, axis=-2) + np.take_along_axis(ranked, high, axis=-2)
    return np.asarray(both[..., 0, :] * np.float32(0.5))
