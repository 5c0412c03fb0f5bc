"""Gradient-boosted quantiles of the coming values and of the coming peak, on scale-free features.

Two experts in a log-space mean: trees grown on this series alone, and trees grown on top of a fleet model's
answer. The latest part of the history is kept from them: it tells what each of the two weighs, and recalibrates their
mean, horizon by horizon, but gently: what a few days covered says less about the days to come than what the trees
learned. See `forecasting.boosting` for sources, `forecasting.fleet` for the fleet model. History: a quarter of a day;
below two days the fleet model answers alone. Cost: 2.1 s to fit 10,080 points and 10 ms a forecast, measured on a busy
machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from forecasting.batch import ForecastBatch, predict_last, require_step
from forecasting.boosting import (
    KINDS,
    LEVELS,
    Features,
    Growth,
    Sample,
    anchors,
    held_out_from,
    long_enough,
    sample,
)
from forecasting.calibration import GRID, conformal_quantiles, level_weights
from forecasting.errors import InsufficientHistory, InvalidSeries
from forecasting.evaluation import pinball_loss
from forecasting.features.latest import rows_at_end
from forecasting.features.scalefree import Kind, Past, Scale
from forecasting.features.seen import FLOOR
from forecasting.fleet import FLEETS, PRETRAINED, known_fleet
from forecasting.forecast import checked_levels, rearranged
from forecasting.prepare.calendar import Holidays, checked_zone
from forecasting.prepare.regions import checked_region
from forecasting.prepare.seasons import find_seasons
from forecasting.quantiles import at_depth, between, coherent, depth, depths_of, filled
from forecasting.serialise import stored_as
from forecasting.series import FloatArray, TimeSeries
from forecasting.trees import Forest  # msgspec reads the annotations of FittedBoosted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.features.rolling import Float32Array
    from forecasting.features.seen import Rows
    from forecasting.forecast import Forecast
    from forecasting.windows import IntArray

__all__ = ["Boosted", "FittedBoosted"]

_DEPTHS = depth(LEVELS)
_OWN = Growth(trees=56, leaves=8, learning_rate=0.13, rows=6000, min_rows=20, features=0.25)
_FURTHER = Growth(trees=32, leaves=8, learning_rate=0.13, rows=6000, min_rows=20, features=0.25)
# The two experts weigh by their relative losses in the calibration part to this power.
_SHARPNESS = 8.0
_CALIBRATION_ROWS = 600
# How far depths go from the learned ones to those found in the calibration part: up to the level 0.9, and from 0.95 on.
# All the way costs 1 % of pinball loss at 0.9, 3 % at 0.95 and 15 % at 0.99, and mends no trace's coverage: the days to
# come scatter in their own way, and of the rarest outcomes a few days show next to none.
_TRUST, _TRUST_IN_TAIL = 0.3, 0.1
# Origins handled at once: bounds the memory of a batch.
_CHUNK = 4096


@stored_as("boosted/3")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedBoosted:
    """Trees, and at which depths among their quantiles the outcomes lay.

    Attributes:
        step: Seconds between samples, of the series fitted.
        unit: Loads are divided by it.
        period: See `forecasting.features.scalefree.Scale`.
        horizons: Anchors, in steps.
        fleet: Name of the fleet model, see `forecasting.fleet.known_fleet`.
        grown: For each of KINDS, ensembles grown on this series alone, for each of LEVELS, and then those grown on top
            of the fleet's answer. None for young series.
        shares: The share of the latter in the mean of both; for each of KINDS.
        sizes: What the former predict is in units of, by horizon; shape (KINDS, anchors).
        depths: Calibrated depths; shape (KINDS, GRID, anchors).
        ceiling: Highest load seen in training, in units.
        zone: Whose clocks the load follows.
        holidays: Days whose weekday is that of rest.
    """

    step: int
    unit: float
    period: int
    horizons: tuple[int, ...]
    fleet: str
    grown: tuple[Forest, ...]
    shares: tuple[float, ...]
    sizes: FloatArray
    depths: FloatArray
    ceiling: float
    zone: str = "UTC"
    holidays: Holidays = field(default_factory=Holidays)

    @property
    def context_length(self) -> int:
        """Two weeks and a little."""
        return Past.reach(self.step, self.horizons[-1])

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        """See `forecasting.forecaster.FittedForecaster.predict`."""
        seen = context.last(self.context_length)
        return predict_last(self, seen, horizon=horizon, levels=levels, purpose="a forecast from the last 15 minutes")

    def predict_many(
        self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts from each of these positions of the series; see `forecasting.batch.PredictsMany`."""
        levels = checked_levels(levels)
        require_step(series, self.step)
        if horizon < 1:
            raise InvalidSeries(f"horizon must be 1 step or more, not {horizon}")
        origins = np.asarray(origins, dtype=np.int64)
        values = np.full((len(origins), len(levels), horizon), np.nan)
        peak = values.copy()
        for first in range(0, len(origins) if len(series) else 0, _CHUNK):
            some = origins[first : first + _CHUNK]
            begin = max(0, int(some.min()) + 1 - self.context_length)
            seen = series.first(int(some.max()) + 1).last(int(some.max()) + 1 - begin)
            found = self._quantiles(seen, some - begin, horizon, levels)
            values[first : first + _CHUNK], peak[first : first + _CHUNK] = found
        return ForecastBatch(series.start + series.step * origins, series.step, levels, values, peak)

    def _quantiles(
        self, seen: TimeSeries, origins: IntArray, horizon: int, levels: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """Quantiles of values and peaks; each (N, levels, horizon), NaN where nothing is known."""
        asked = [h for h in self.horizons if h < horizon] + [horizon]
        rows = self._rows(seen, origins, asked)
        level = rows.level[: len(origins)].astype(np.float64)
        known = ~np.isnan(level)
        out = np.full((len(KINDS), len(origins), len(levels), horizon), np.nan)
        x = rows.standardised()
        half = len(asked) * len(origins)
        weights = level_weights(levels)
        for i, kind in enumerate(KINDS):
            part = slice(i * half, (i + 1) * half)
            size = np.repeat(between(self.sizes[i], self.horizons, asked), len(origins))
            experts = _experts(kind, x[part], rows.spread[part], self.fleet, self.grown[i : i + 1], size)
            wanted = np.repeat(between(weights @ self.depths[i], self.horizons, asked).T, len(origins), axis=0)
            at = at_depth(_mixed(experts, self.shares[i]), _DEPTHS, wanted)
            out[i] = filled(at.reshape(len(asked), len(origins), -1), asked, horizon)
        out[:] = coherent(*out)
        with np.errstate(over="ignore", under="ignore"):
            load = np.exp(np.minimum(out + level[None, :, None, None], 700.0)) - FLOOR
            # no further beyond the highest load that was seen than a flash crowd goes
            limit = 4.0 * np.maximum(self.ceiling, np.exp(level) - FLOOR)[None, :, None, None]
            load = np.clip(load, 0.0, limit) * self.unit
        load[:, known] = np.stack(rearranged(*np.minimum(load[:, known], np.finfo(np.float64).max / 2)))
        load[:, ~known] = np.nan
        return load[0], load[1]

    def _rows(self, seen: TimeSeries, origins: IntArray, asked: list[int]) -> Rows:
        """Features at these positions, the last of which is the end of what is seen."""
        scale = Scale(self.unit, self.period)
        if len(origins) == 1:
            return rows_at_end([seen], [scale], asked, clocks=[(self.zone, self.holidays)])
        past = Past(seen, scale, zone=self.zone, holidays=self.holidays)
        return past.rows(origins, [(h, kind) for kind in KINDS for h in asked])


def _experts(
    kind: Kind,
    x: Float32Array,
    spread: Float32Array,
    fleet: str,
    grown: tuple[Forest, ...],
    size: FloatArray,
) -> tuple[FloatArray, ...]:
    """Log-ratio at LEVELS before calibration; each of shape (N, LEVELS).

    The fleet's quantiles alone, or the local ones and the fleet's as this series corrects them.

    Args:
        kind: What they are of.
        x: Features, standardised; shape (N, F).
        spread: See `Rows`; shape (N,).
        fleet: Name of the fleet model.
        grown: The ensembles of this kind, see `FittedBoosted`; none of a young series.
        size: What the local ones predict is in units of; shape (N,).
    """
    unit = spread[:, None].astype(np.float64)
    answer = known_fleet(fleet).predict(kind, x)
    if not grown:
        return (np.sort(answer * unit, axis=1),)
    found = grown[0].predict(x)
    local, further = found[:, : len(LEVELS)], found[:, len(LEVELS) :]
    return np.sort(local * size[:, None], axis=1), np.sort((answer + further) * unit, axis=1)


def _mixed(experts: tuple[FloatArray, ...], share: float) -> FloatArray:
    """Their mean, `share` that of the last."""
    return experts[0] if len(experts) == 1 else (1 - share) * experts[0] + share * experts[1]


def _share(after: Sample, experts: tuple[FloatArray, ...], count: int) -> float:
    """The last expert's share, by the pinball losses of loads in the calibration part, each anchor's relative."""
    if len(experts) == 1 or not len(after):
        return 1.0
    level = after.level[:, None].astype(np.float64)
    came = np.exp(level + after.y[:, None])
    losses = [pinball_loss(came, np.exp(np.minimum(level + knots, 30.0)), np.array(LEVELS)) for knots in experts]
    means = np.stack([
        [loss[after.anchor == i].mean(axis=0) for i in range(count) if (after.anchor == i).any()] for loss in losses
    ])  # fmt: skip
    own, further = (means / np.maximum(means.mean(axis=0), 1e-12)).mean(axis=(1, 2))
    odds = (max(own, 1e-6) / max(further, 1e-6)) ** _SHARPNESS
    return float(np.float32(odds / (1 + odds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosted:
    """Gradient-boosted quantiles, local and fleet-wide.

    Attributes:
        fleet: The fleet model built on: `pretrained`, or the digest of one known to the process.
        timezone: Whose clocks daily and weekly rhythms follow, e.g. Europe/Berlin.
        holidays: Whose public holidays are like Sundays: a country or a part of it, e.g. DE or DE-BY; empty: nobody's.
    """

    fleet: str = PRETRAINED
    timezone: str = "UTC"
    holidays: str = ""

    name: ClassVar[str] = "boosted"

    def __post_init__(self) -> None:
        checked_zone(self.timezone)
        checked_region(self.holidays)

    def min_history(self, step: int) -> int:
        """A quarter of a day, 40 samples at least."""
        return max(40, 21600 // step)

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedBoosted:
        """Grows trees on the past, and calibrates on its latest part."""
        del levels  # learned at LEVELS, calibrated on a grid that serves all
        need = self.min_history(series.step)
        if series.known < need:
            raise InsufficientHistory(self.name, have=series.known, need=need)
        scale = Scale.of(series.values)
        scale = Scale(scale.unit, _period(series))
        holidays = Holidays.around(self.holidays, series, zone=self.timezone)
        past = Past(series, scale, zone=self.timezone, holidays=holidays)
        horizons = anchors(series.step, max(1, horizon))
        n, day = len(series), 86400 / series.step
        local, cut = long_enough(series), held_out_from(series)
        grown, shares, depths = [], [], []
        sizes = np.ones((len(KINDS), len(horizons)))
        for i, kind in enumerate(KINDS):
            if local:
                train = sample(past, kind, horizons, first=int(day // 2), end=cut, rows=_OWN.rows)
                sizes[i] = _sizes(train, len(horizons))
                grown.append(_grown(kind, train, self.fleet, sizes[i]))
            after = sample(past, kind, horizons, first=cut, end=n, rows=_CALIBRATION_ROWS * len(horizons))
            size = sizes[i][after.anchor]
            experts = _experts(kind, after.x, after.spread, self.fleet, tuple(grown[-1:]), size)
            shares.append(_share(after, experts, len(horizons)))
            depths.append(_calibrated(after, _mixed(experts, shares[-1]), len(horizons)))
        return FittedBoosted(
            step=series.step,
            unit=scale.unit,
            period=scale.period,
            horizons=horizons,
            fleet=FLEETS.resolve(self.fleet),
            grown=tuple(grown),
            shares=tuple(shares),
            sizes=sizes,
            depths=np.stack(depths),
            ceiling=_ceiling(series.values, scale.unit),
            zone=self.timezone,
            holidays=holidays,
        )


def _ceiling(values: FloatArray, unit: float) -> float:
    with np.errstate(over="ignore", under="ignore"):
        return float(min(np.nanmax(values) / unit, 1e100))


def _grown(kind: Kind, train: Sample, fleet: str, sizes: FloatArray) -> Forest:
    size = sizes[train.anchor].astype(np.float32)
    features = Features(train.x, min_rows=_OWN.min_rows)
    own = features.fit_quantiles(train.y / size, train.weight, growth=_OWN)
    start = known_fleet(fleet).predict(kind, train.x)
    weight = train.weight * train.spread / size
    further = features.fit_quantiles(train.y / train.spread, weight, growth=_FURTHER, start=start)
    return Forest.of([*own, *further])


def _sizes(train: Sample, count: int) -> FloatArray:
    """Root mean square of the targets, by anchor: trees see them divided by it, so that all horizons count."""
    out = [float(np.sqrt(np.mean(np.square(train.y[train.anchor == i], dtype=np.float64)))) for i in range(count)]
    return np.maximum(out, 1e-3)


def _calibrated(after: Sample, knots: FloatArray, count: int) -> FloatArray:
    """Depths to ask for at GRID's levels, by anchor; shape (GRID, anchors)."""
    found = depths_of(after.y.astype(np.float64), knots, _DEPTHS)
    plain = depth(GRID)
    trust = np.interp(GRID, (0.9, 0.95), (_TRUST, _TRUST_IN_TAIL))
    out = np.tile(plain[:, None], (1, count))
    for i in range(count):
        mine = found[after.anchor == i]
        conformal = conformal_quantiles(mine[:, None], GRID)[:, 0]
        if not np.isnan(conformal).any():
            out[:, i] = np.maximum.accumulate(plain + trust * (conformal - plain))
    return out.astype(np.float32).astype(np.float64)


def _period(series: TimeSeries) -> int:
    """The strongest season that the calendar does not explain, within a week; 0 if there is none."""
    day = 86400 // series.step
    for season in find_seasons(series):
        if math.gcd(season.length, day) != day and season.length <= 7 * day:
            return season.length
    return 0
