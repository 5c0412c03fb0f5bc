"""Gradient-boosted quantiles of the coming values and of the coming peak, on scale-free features.

Two experts in a log-space mean: trees grown on this series alone, and trees grown on top of a fleet model's
answer; for the peak of the next quarter of an hour, lines and trees on rows of their own are heard beside the former
(`forecasting.nearby`). The latest part of the history is kept from them: it tells what each of them weighs, and
recalibrates their mean, horizon by horizon, but gently: what a few days covered says less about the days to come than
what the trees learned. See `forecasting.boosting` for sources, `forecasting.fleet` for the fleet model. History: a
quarter of a day; below two days the fleet model answers, from a day on with a few trees on top of it. Cost: 1.2 s to
fit 10,080 points and 2 ms a forecast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np

from forecasting.batch import ForecastBatch, predict_last, require_alike, require_horizon, require_step
from forecasting.boosting import (
    KINDS,
    LEVELS,
    Features,
    Growth,
    Sample,
    anchors,
    held_out_from,
    long_enough,
    samples,
)
from forecasting.calibration import GRID, conformal_quantiles, level_weights
from forecasting.errors import InsufficientHistory
from forecasting.features.latest import rows_at_end
from forecasting.features.scalefree import Kind, Past, Scale
from forecasting.features.seen import FLOOR
from forecasting.fleet import FLEETS, PRETRAINED, known_fleet
from forecasting.forecast import checked_levels, rearranged
from forecasting.nearby import Nearby
from forecasting.prepare.calendar import Holidays, checked_zone
from forecasting.prepare.idle import idle_below
from forecasting.prepare.regions import checked_region
from forecasting.prepare.seasons import find_seasons
from forecasting.quantiles import at_depth, between, coherent, depth, depths_of, filled
from forecasting.serialise import stored_as
from forecasting.series import FloatArray, TimeSeries
from forecasting.shares import mixed, shares_of
from forecasting.trees import Forest, TreeEnsemble  # msgspec reads the annotations of FittedBoosted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.features.rolling import Float32Array
    from forecasting.features.seen import Rows
    from forecasting.forecast import Forecast
    from forecasting.windows import IntArray

__all__ = ["Boosted", "FittedBoosted"]

_DEPTHS = depth(LEVELS)
_OWN = Growth(trees=56, leaves=8, learning_rate=0.13, rows=6000, min_rows=20, features=0.25)
# Near peaks have trees of their own, so that fewer serve as well.
_OWN_PEAKS = replace(_OWN, trees=40)
_FURTHER = Growth(trees=32, leaves=8, learning_rate=0.13, rows=6000, min_rows=20, features=0.25)
# One day tells little: a few small steps from the fleet's answer, and no part is kept from them.
_FIRST = Growth(trees=16, leaves=4, learning_rate=0.05, rows=2400, min_rows=40, features=0.25)
_CALIBRATION_ROWS = 600
# How far depths go from the learned ones to those found in the calibration part, by level. All the way costs 1 % of
# pinball loss at 0.9, 3 % at 0.95 and 15 % at 0.99, and mends no trace's coverage: the days to come scatter in their
# own way, and of the rarest outcomes a few days show next to none: there even a tenth of the way costs 2 %.
_TRUST = {0.9: 0.3, 0.95: 0.1, 0.99: 0.0}
# Origins handled at once: bounds the memory of a batch.
_CHUNK = 4096


class _ByTrees(NamedTuple):
    """Log-ratios at LEVELS, each of shape (M, LEVELS).

    Attributes:
        local: By the trees of the series alone.
        further: By the fleet's as this series corrects them.
        answer: By the fleet's alone, in spreads.
    """

    local: FloatArray
    further: FloatArray
    answer: FloatArray


@stored_as("boosted/5")
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
            of the fleet's answer. None of less than a day, and none of the former of less than two.
        shares: The share of the latter in the mean of both; shape (KINDS, anchors).
        sizes: What the former predict is in units of, by horizon; shape (KINDS, anchors).
        depths: Calibrated depths; shape (KINDS, GRID, anchors).
        ceiling: Highest load seen in training, in units.
        zone: Whose clocks the load follows.
        holidays: Days whose weekday is that of rest.
        idle: Forecasts below it are 0, in units; see `forecasting.prepare.idle`.
        near: What answers for peaks over near horizons beside the ensembles of this series alone.
    """

    step: int
    unit: float
    period: int
    horizons: tuple[int, ...]
    fleet: str
    grown: tuple[Forest, ...]
    shares: FloatArray
    sizes: FloatArray
    depths: FloatArray
    ceiling: float
    zone: str = "UTC"
    holidays: Holidays = field(default_factory=Holidays)
    idle: float = 0.0
    near: Nearby | None = None

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
        origins = np.asarray(origins, dtype=np.int64)
        values = np.full((len(origins), len(levels), horizon), np.nan)
        peak = values.copy()
        asked = _asked(self.horizons, horizon)
        for first in range(0, len(origins) if len(series) else 0, _CHUNK):
            some = origins[first : first + _CHUNK]
            begin = max(0, int(some.min()) + 1 - self.context_length)
            seen = series.first(int(some.max()) + 1).last(int(some.max()) + 1 - begin)
            found = _quantiles([self], self._rows(seen, some - begin, asked), asked, levels)
            values[first : first + _CHUNK], peak[first : first + _CHUNK] = found
        return ForecastBatch(series.start + series.step * origins, series.step, levels, values, peak)

    def _rows(self, seen: TimeSeries, origins: IntArray, asked: Sequence[int]) -> Rows:
        """Features at these positions, the last of which is the end of what is seen."""
        if len(origins) == 1:
            return rows_at_end([seen], [self.scale], asked, clocks=[(self.zone, self.holidays)])
        past = Past(seen, self.scale, zone=self.zone, holidays=self.holidays)
        return past.rows(origins, [(h, kind) for kind in KINDS for h in asked])

    @property
    def scale(self) -> Scale:
        """What is fixed for the features."""
        return Scale(self.unit, self.period)

    @property
    def shared(self) -> tuple[int, str, tuple[int, ...]]:
        """What forecasters must have in common for `predict_all`: step, fleet model, anchors."""
        return self.step, self.fleet, self.horizons

    @classmethod
    def predict_all(
        cls, fitted: Sequence[Self], contexts: Sequence[TimeSeries], *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts of several series in one pass; see `forecasting.together.PredictsTogether`.

        Raises:
            InvalidSeries: A context's step is not the fitted one, or the forecasters do not share what they must.
        """
        levels = checked_levels(levels)
        require_alike(fitted, contexts, by="one fleet model")
        seen = [context.last(one.context_length) for one, context in zip(fitted, contexts, strict=True)]
        asked, clocks = _asked(fitted[0].horizons, horizon), [(one.zone, one.holidays) for one in fitted]
        rows = rows_at_end(seen, [one.scale for one in fitted], asked, clocks=clocks)
        values, peak = _quantiles(fitted, rows, asked, levels)
        return ForecastBatch.at_ends(contexts, levels, values, peak)


def _asked(anchors_: Sequence[int], horizon: int) -> list[int]:
    """Horizons that trees are asked for: the anchors before the farthest, and that.

    Raises:
        InvalidSeries: There is none.
    """
    require_horizon(horizon)
    return [*(h for h in anchors_ if h < horizon), horizon]


def _quantiles(
    fitted: Sequence[FittedBoosted], rows: Rows, asked: Sequence[int], levels: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    """Quantiles of values and peaks; each (N, levels, horizon), NaN where nothing is known.

    Args:
        fitted: One for all N origins, or one for each.
        rows: Features, for each of KINDS, each horizon asked for, each origin.
        asked: Horizons, see `_asked`.
        levels: Quantile levels.
    """
    a, n = len(asked), len(rows.level) // len(asked) // len(KINDS)
    level = rows.level[:n].astype(np.float64)
    known = ~np.isnan(level)
    sizes, shares = (
        between(np.stack([getattr(one, name) for one in fitted]), fitted[0].horizons, asked)
        for name in ("sizes", "shares")
    )
    depths = between(level_weights(levels) @ np.stack([one.depths for one in fitted]), fitted[0].horizons, asked)
    x = rows.standardised()
    out = np.empty((len(KINDS), n, len(levels), asked[-1]))
    for i, kind in enumerate(KINDS):
        part = slice(i * a * n, (i + 1) * a * n)
        grown = [one.grown[i] if one.grown else None for one in fitted]
        size = np.broadcast_to(sizes[:, i].T, (a, n)).reshape(-1)
        near = [one.near for one in fitted] if kind == "peak" else []
        ahead = np.repeat(np.array(asked), n)
        trees = _by_trees(kind, x[part], rows.spread[part], fitted[0].fleet, grown, size)
        experts = _experts(trees, x[part], rows.spread[part], near, ahead)
        share = np.broadcast_to(shares[:, i].T, (a, n)).reshape(-1, 1)
        wanted = np.broadcast_to(depths[:, i].transpose(2, 0, 1), (a, n, len(levels))).reshape(a * n, -1)
        out[i] = filled(at_depth(mixed(experts, share), _DEPTHS, wanted).reshape(a, n, -1), asked, asked[-1])
    out[:] = coherent(*out)
    ceiling, unit, idle = (
        np.array([getattr(one, name) for one in fitted])[:, None, None] for name in ("ceiling", "unit", "idle")
    )
    now = level[:, None, None]
    with np.errstate(over="ignore", under="ignore"):
        load = np.exp(np.minimum(out + now, 700.0)) - FLOOR
        # no further beyond the highest load that was seen than a flash crowd goes
        load = np.minimum(np.where(load < idle, 0.0, load), 4.0 * np.maximum(ceiling, np.exp(now) - FLOOR)) * unit
    load[:, known] = np.stack(rearranged(*np.minimum(load[:, known], np.finfo(np.float64).max / 2)))
    load[:, ~known] = np.nan
    return load[0], load[1]


def _by_trees(
    kind: Kind,
    x: Float32Array,
    spread: Float32Array,
    fleet: str,
    grown: Sequence[Forest | None],
    size: FloatArray,
) -> _ByTrees:
    """What trees say.

    Args:
        kind: What they are of.
        x: Features, standardised; shape (M, F).
        spread: See `Rows`; shape (M,).
        fleet: Name of the fleet model.
        grown: The ensembles of this kind, see `FittedBoosted`, for all rows or for every so-many-th; none of a young
            series, whose trees say nothing.
        size: What the local ones predict is in units of; shape (M,).
    """
    found = np.zeros((len(x), 2 * len(LEVELS)))
    for row, forest in enumerate(grown):
        if forest is not None:
            found[row :: len(grown)] = forest.predict(x[row :: len(grown)])
    local, further = found[:, : len(LEVELS)] * size[:, None], found[:, len(LEVELS) :]
    answer = known_fleet(fleet).predict(kind, x)
    return _ByTrees(local, (answer + further) * spread[:, None].astype(np.float64), answer)


def _experts(
    trees: _ByTrees, x: Float32Array, spread: Float32Array, near: Sequence[Nearby | None], ahead: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Log-ratio at LEVELS before calibration: by this series alone, and by the fleet's trees as it corrects them.

    Args:
        trees: What trees say.
        x: Features, standardised; shape (M, F).
        spread: See `Rows`; shape (M,).
        near: What is heard beside the local trees at near horizons, of all rows or of every so-many-th; empty: nothing.
        ahead: Horizons, in steps; shape (M,).

    Returns:
        Each of shape (M, LEVELS).
    """
    local = trees.local.copy()
    for row, nearer in enumerate(near):
        if nearer is not None:
            some = slice(row, None, len(near))
            local[some] = nearer.instead(local[some], x[some], spread[some], trees.answer[some], ahead[some])
    return np.sort(local, axis=1), np.sort(trees.further, axis=1)


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
        trains, cut = _to_learn_from(past, series, horizons), held_out_from(series)
        local = bool(trains) and long_enough(series)
        grown, depths = [], []
        sizes, shares = np.ones((2, len(KINDS), len(horizons)))
        near: Nearby | None = None
        if local:
            first = _first_of(series)
            near = Nearby.grown(past, horizons, series.step, fleet=known_fleet(self.fleet), first=first, end=cut)
        afters = samples(past, KINDS, horizons, first=cut, end=len(series), rows=_CALIBRATION_ROWS * len(horizons))
        for i, (kind, after) in enumerate(zip(KINDS, afters, strict=True)):
            if local:
                sizes[i] = _sizes(trains[i], len(horizons))
                grown.append(_grown(kind, trains[i], self.fleet, sizes[i]))
            elif trains:
                grown.append(_first_grown(kind, trains[i], self.fleet))
            size = sizes[i][after.anchor]
            trees = _by_trees(kind, after.x, after.spread, self.fleet, grown[-1:], size)
            if kind == "peak" and near:
                near = near.heard(after, trees.local, trees.answer, horizons)
            ahead, nearer = np.array(horizons)[after.anchor], [near] if kind == "peak" else []
            experts = _experts(trees, after.x, after.spread, nearer, ahead)
            if local:
                shares[i] = shares_of(after, experts, len(horizons), len(near.horizons) if near and nearer else 0)
            depths.append(_calibrated(after, mixed(experts, shares[i][after.anchor][:, None]), len(horizons)))
        return FittedBoosted(
            step=series.step,
            unit=scale.unit,
            period=scale.period,
            horizons=horizons,
            fleet=FLEETS.resolve(self.fleet),
            grown=tuple(grown),
            shares=shares,
            sizes=sizes,
            depths=np.stack(depths),
            ceiling=_ceiling(series.values, scale.unit),
            zone=self.timezone,
            holidays=holidays,
            idle=_idle(series.values, scale.unit),
            near=near,
        )


def _first_of(series: TimeSeries) -> int:
    """The first origin of rows to learn from: half a day is seen before it."""
    return 43200 // series.step


def _to_learn_from(past: Past, series: TimeSeries, horizons: Sequence[int]) -> tuple[Sample, ...]:
    """Rows to grow trees on, for each of KINDS; none of less than a day, or where a gap leaves nothing for one."""
    if long_enough(series):
        first, end = _first_of(series), held_out_from(series)
        trains = samples(past, KINDS, horizons, first=first, end=end, rows=_OWN.rows, as_they_count=True)
    elif series.known >= 86400 / series.step:
        trains = samples(past, KINDS, horizons, first=21600 // series.step, end=len(series), rows=_FIRST.rows)
    else:
        return ()
    return trains if all(len(train) for train in trains) else ()


def _ceiling(values: FloatArray, unit: float) -> float:
    with np.errstate(over="ignore", under="ignore"):
        return float(min(np.nanmax(values) / unit, 1e100))


def _idle(values: FloatArray, unit: float) -> float:
    with np.errstate(over="ignore", under="ignore"):
        return idle_below(values / unit, FLOOR / 2)


def _grown(kind: Kind, train: Sample, fleet: str, sizes: FloatArray) -> Forest:
    """Trees of the series' own, and trees on top of the fleet's answer."""
    size = sizes[train.anchor].astype(np.float32)
    features = Features(train.x, min_rows=_OWN.min_rows)
    growth = _OWN_PEAKS if kind == "peak" else _OWN
    alone = features.fit_quantiles(train.y / size, train.weight, growth=growth)
    start = known_fleet(fleet).predict(kind, train.x)
    # of rows that weigh alike, an error counts in spreads instead of loads: it served as well, and is grown faster
    weight = train.weight if train.alike else train.weight * train.spread / size
    further = features.fit_quantiles(train.y / train.spread, weight, growth=_FURTHER, start=start)
    return Forest.of([*alone, *further])


def _first_grown(kind: Kind, train: Sample, fleet: str) -> Forest:
    """Trees on top of the fleet's answer, and none of the series' own."""
    start = known_fleet(fleet).predict(kind, train.x)
    weight = train.weight * train.spread
    further = Features(train.x, min_rows=_FIRST.min_rows).fit_quantiles(
        train.y / train.spread, weight, growth=_FIRST, start=start
    )
    return Forest.of([*(TreeEnsemble.of("") for _ in LEVELS), *further])


def _sizes(train: Sample, count: int) -> FloatArray:
    """Root mean square of the targets, by anchor: trees see them divided by it, so that all horizons count.

    An anchor without rows, as after a long gap, has that of those beside it.
    """
    there = np.unique(train.anchor)
    out = [float(np.sqrt(np.mean(np.square(train.y[train.anchor == i], dtype=np.float64)))) for i in there]
    return np.maximum(np.interp(np.arange(count), there, out), 1e-3)


def _calibrated(after: Sample, knots: FloatArray, count: int) -> FloatArray:
    """Depths to ask for at GRID's levels, by anchor; shape (GRID, anchors)."""
    found = depths_of(after.y.astype(np.float64), knots, _DEPTHS)
    plain = depth(GRID)
    trust = np.interp(GRID, tuple(_TRUST), tuple(_TRUST.values()))
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
