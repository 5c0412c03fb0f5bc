"""Scale-free features of a series' past at many of its positions, and the scale-free targets they are to explain.

What the features are is told in `forecasting.features.seen`. Positions are computed independently of where the array
begins: a forecast from the latest two weeks equals the one that a backtest over a year computes for the same moment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from forecasting.features.rolling import Float32Array, Track, rolling_maximum, shifted
from forecasting.features.seen import (
    COARSE,
    DAYS,
    FINE,
    LAGS,
    MAXIMA,
    MEANS,
    MINIMA,
    MOVES,
    NEAR,
    PERIODS_BACK,
    RECENT,
    SPREADS,
    WEEK,
    WIDE,
    Recent,
    Rows,
    Seasonal,
    level_steps,
    loads_of,
    log_mean,
    log_of,
    rows_of,
    steps_in,
)
from forecasting.prepare.calendar import Holidays, local_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["Kind", "Past", "Scale"]

Kind: TypeAlias = Literal["value", "peak"]


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
        self._load = Track(loads_of(series, scale.unit)[None], FINE)
        self._log = Track(log_of(self._load.values), COARSE)
        moves = np.full((1, self._n), np.nan, dtype=np.float32)
        moves[:, 1:] = np.abs(np.diff(self._log.values))
        self._moves = Track(moves, COARSE)
        self._lowest = Track(-self._log.values, COARSE)
        every = np.arange(self._n, dtype=np.int64)
        #: Log of the level in units at every position, NaN where unknown; shape (n,).
        self.level: Float32Array = self._log_mean(every, level_steps(self._step))

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
        horizons = np.array([horizon for horizon, _ in asks])
        return rows_of(self._recent(origins), self._seasonal(origins, asks, horizons), horizons, self._step)

    def _ahead(self, horizon: int, kind: Kind) -> Float32Array:
        log = self._log.values[0]
        return shifted(log if kind == "value" else rolling_maximum(log, horizon), horizon)

    def _steps(self, minutes: Sequence[int]) -> list[int]:
        return [steps_in(one, self._step) for one in minutes]

    def _recent(self, origins: IntArray) -> Recent:
        """What does not depend on the horizon."""
        day, hour, ends = steps_in(1440, self._step), steps_in(60, self._step), origins[None]
        means = self._steps(MEANS)
        earlier = [(origins - w, w) for w in means[:2]] + [(origins - back * day, hour) for back in (1, WEEK)]
        sums = [self._log.sums(ends, w) for w in self._steps(SPREADS)]
        local = local_times(self._start + self._step * origins, self._zone)
        moves = [self._moves.sums(ends, w) for w in self._steps(MOVES)]
        return Recent(
            level=self.level[origins],
            lags=self._log.at(origins - np.array(LAGS)[None, :, None])[0],
            means=np.stack([self._log_mean(origins, w) for w in means]),
            earlier=np.stack([self._log_mean(*window) for window in earlier]),
            highest=np.concatenate([self._log.highest(ends, w) for w in self._steps(MAXIMA)]),
            lowest=-np.concatenate([self._lowest.highest(ends, w) for w in self._steps(MINIMA)]),
            spreads=np.stack([np.concatenate([parts[i] for parts in sums]) for i in range(3)]),
            moves=np.stack([np.concatenate([parts[i] for parts in moves]) for i in (0, 2)]),
            local=local,
            weekday=self._holidays.moved(local),
        )

    def _seasonal(self, origins: IntArray, asks: Sequence[tuple[int, Kind]], horizons: IntArray) -> Seasonal:
        """What does."""
        ahead = np.stack([self._ahead(horizon, kind) for horizon, kind in asks])
        came, ramps = Track(ahead, COARSE), Track(ahead - self.level, COARSE)
        day, wide, near, hour = self._steps((1440, WIDE, NEAR, 60))
        back = origins - day * np.arange(1, DAYS + 1)[None, :, None]
        latest, recent = origins - horizons[:, None], self._steps(RECENT)  # the latest ramp that has come true
        sums = [ramps.sums(latest, w) for w in recent]
        periods = np.array([hour, self._period or hour])[:, None, None, None]
        first = -(-horizons[:, None, None] // periods)
        lags = origins - periods * (first + np.arange(PERIODS_BACK)[:, None])
        return Seasonal(
            came=came.at(back),
            ramps=ramps.at(back),
            around=np.stack(ramps.sums(back + wide, 2 * wide + 1)),
            top=ramps.highest(back + wide, 2 * wide + 1),
            close=ramps.highest(back[:, :WEEK] + near, 2 * near + 1),
            latest=np.stack([np.stack([parts[i] for parts in sums]) for i in range(3)]),
            highest=np.stack([ramps.highest(latest, w) for w in recent]),
            cycle=np.stack([came.at(some) for some in lags]),
            cycle_ramps=np.stack([ramps.at(some) for some in lags]),
        )

    def _log_mean(self, ends: IntArray, width: int) -> Float32Array:
        total, count = self._load.totals(ends[None], width)
        return log_mean(total[0], count[0])
