"""One recurrent network for every series: an LSTM trained on other workloads, so it forecasts on the first day.

It reads the last day from coarse to fine and the same minutes of up to 14 days before, all as log-ratios in units of
how much the series moves, and gives quantiles of the coming values and of the coming peak for all horizons at once.
The network is not trained on the series at hand. The series' own past draws the middle of the quantiles towards that of
a regression on the same inputs (`forecasting.local`) and recalibrates them, horizon by horizon, the more the longer it
is. See `forecasting.network` for sources and the model card, docs/models/lstm.md, for what it was trained on.
Horizons beyond 60 minutes are told as 60. History: two hours. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from forecasting.batch import ForecastBatch, require_alike, require_horizon, require_step
from forecasting.boosting import KINDS, anchors
from forecasting.calibration import GRID, conformal_quantiles, future, level_weights, running_maximum
from forecasting.errors import InsufficientHistory
from forecasting.features.pasts import Rows, Stack, in_units
from forecasting.features.scalefree import Scale
from forecasting.features.seen import FLOOR
from forecasting.features.sequence import inputs, reach
from forecasting.forecast import checked_levels, rearranged
from forecasting.local import INPUTS, looked_at, regression
from forecasting.network import KNOTS, NETWORKS
from forecasting.pretrained import PRETRAINED
from forecasting.quantiles import at_depth, between, coherent, depth, depths_of, filled
from forecasting.serialise import stored_as
from forecasting.series import FloatArray, TimeSeries
from forecasting.windows import scattered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.features.pasts import Pasts
    from forecasting.forecast import Forecast
    from forecasting.windows import IntArray

__all__ = ["FittedLstm", "Lstm"]

_DEPTHS = depth(KNOTS)
_CALIBRATION_ORIGINS = 1500
# So many independent outcomes weigh as much as the quantiles that the network was trained to give. One day is like the
# next in little: what its tails were like makes those of the next day worse, so it takes about a week.
_PRIOR = 200.0
_HALF = 0.5  # of the way to the regression's middle, where there is history enough: their mean
# The middle is not drawn where that would have lost more than so many times as much in the past, nor on the first
# two days: most of what is looked at is of former days, and not known at all while the first is learned from.
_WORSE, _DRAWN_FROM = 1.05, 2 * 86400
# Origins handled at once: bounds the memory of a batch.
_CHUNK = 256
_SERIES = 64  # what is taken of so many stays in the processor's cache
# What an idle series may wake up to, as a multiple of the highest load that it has shown.
_BEYOND = 1.1
_MINUTES_APART = 15  # outcomes that overlap are not independent, nor are those next to each other


@stored_as("lstm/2")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedLstm:
    """Which network, how its middle is drawn, and at which depths among the quantiles this series' outcomes lay.

    Attributes:
        step: Seconds between samples, of the series fitted.
        unit: Loads are divided by it.
        weights: Name of the network, see `forecasting.network.NETWORKS`.
        horizons: Anchors, in steps.
        local: What the middle is drawn by: weights of what is looked at, an offset, and what the network's own middle
            loses for it; shape (KINDS, INPUTS + 2, anchors).
        depths: Calibrated depths; shape (KINDS, GRID, anchors).
        ceiling: Highest load seen, in units.
    """

    step: int
    unit: float
    weights: str
    horizons: tuple[int, ...]
    local: FloatArray
    depths: FloatArray
    ceiling: float

    @property
    def context_length(self) -> int:
        """Two weeks and a little."""
        return reach(self.step)

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        """See `forecasting.forecaster.FittedForecaster.predict`."""
        batch = self.predict_all([self], [context], horizon=horizon, levels=levels)
        if not batch.known[0]:
            raise InsufficientHistory("a forecast from the last 15 minutes", have=0, need=1)
        return batch.forecast(0)

    def predict_many(
        self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts from each of these positions of the series; see `forecasting.batch.PredictsMany`."""
        levels = checked_levels(levels)
        require_step(series, self.step)
        require_horizon(horizon)
        origins = np.asarray(origins, dtype=np.int64)
        values = np.full((len(origins), len(levels), horizon), np.nan)
        peak = values.copy()
        rows = Rows.of(series, origins, self.unit)
        for first in range(0, len(origins) if len(series) else 0, _CHUNK):
            some = slice(first, first + _CHUNK)
            values[some], peak[some] = _quantiles([self], rows.at(some), horizon, levels)
        return ForecastBatch(series.start + series.step * origins, series.step, levels, values, peak)

    @property
    def shared(self) -> tuple[int, str, tuple[int, ...]]:
        """What forecasters must have in common for `predict_all`: step, network, anchors."""
        return self.step, self.weights, self.horizons

    @classmethod
    def predict_all(
        cls, fitted: Sequence[Self], contexts: Sequence[TimeSeries], *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts of many series in one pass; see `forecasting.together.PredictsTogether`.

        Raises:
            InvalidSeries: A context's step is not the fitted one, or the forecasters do not share what they must.
        """
        levels = checked_levels(levels)
        require_alike(fitted, contexts, by="with one network")
        require_horizon(horizon)
        parts = []
        for first in range(0, len(fitted), _SERIES):
            some, seen = fitted[first : first + _SERIES], contexts[first : first + _SERIES]
            parts.append(_quantiles(some, Stack(seen, [one.unit for one in some]), horizon, levels))
        values, peak = (np.concatenate(part) for part in zip(*parts, strict=True))
        return ForecastBatch.at_ends(contexts, levels, values, peak)


def _quantiles(
    fitted: Sequence[FittedLstm], pasts: Pasts, horizon: int, levels: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    """Quantiles of values and peaks; each (N, levels, horizon), NaN where nothing is known.

    Args:
        fitted: One for each origin, or one for all.
        pasts: N origins.
        horizon: Steps.
        levels: Quantile levels.
    """
    furthest = min(horizon, max(1, 86400 // pasts.step))
    asked = [h for h in fitted[0].horizons if h < furthest] + [furthest]
    found = inputs(pasts, asked)
    nodes = _nodes(fitted[0].horizons, tuple(asked))
    knots = NETWORKS.known(fitted[0].weights).predict(found)
    local = np.stack([one.local for one in fitted]) @ nodes  # (N, KINDS, INPUTS + 2, asked)
    local = local.swapaxes(2, 3).reshape(len(fitted), -1, local.shape[2])
    drawn = (looked_at(found) * local[:, :, :-2]).sum(axis=2) + local[:, :, -2] - local[:, :, -1] * knots[:, :, 0]
    knots = (knots + drawn[:, :, None]) * found.spread[:, :, None]
    depths = level_weights(levels) @ np.stack([one.depths for one in fitted]) @ nodes
    wanted = np.broadcast_to(np.moveaxis(depths, 2, 3), (len(knots), len(KINDS), len(asked), len(levels)))
    at = at_depth(knots.reshape(-1, len(KNOTS)), _DEPTHS, wanted.reshape(-1, len(levels)))
    at = np.moveaxis(at.reshape(wanted.shape), 0, 2)  # (KINDS, asked, N, levels)
    out = [filled(at[i], asked, horizon) for i in range(len(KINDS))]
    ceiling, unit = (np.array([getattr(one, name) for one in fitted]) for name in ("ceiling", "unit"))
    return _as_loads(np.stack(coherent(*out)), found.level, ceiling, unit)


@lru_cache(maxsize=64)
def _nodes(horizons: tuple[int, ...], asked: tuple[int, ...]) -> FloatArray:
    """How what is known at the anchors is interpolated at the horizons asked for; shape (anchors, asked)."""
    nodes = between(np.eye(len(horizons)), horizons, asked)
    nodes.setflags(write=False)
    return nodes


def _as_loads(
    ratios: FloatArray, level: FloatArray, ceiling: FloatArray, unit: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log-ratios to the level as loads: none negative, none further above the highest seen than crowds go."""
    with np.errstate(over="ignore", under="ignore"):
        limit = np.maximum(_BEYOND * ceiling, 4.0 * (np.exp(level) - FLOOR))[None, :, None, None]
        load = np.exp(np.minimum(ratios + level[None, :, None, None], 700.0)) - FLOOR
        load = np.clip(load, 0.0, limit) * unit[None, :, None, None]
    known = ~np.isnan(level)
    load[:, known] = np.stack(rearranged(*np.minimum(load[:, known], np.finfo(np.float64).max / 2)))
    return load[0], load[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lstm:
    """The recurrent network.

    Attributes:
        weights: Which: `pretrained`, the one in use, or the digest of one known to the process.
    """

    weights: str = PRETRAINED

    name: ClassVar[str] = "lstm"

    def min_history(self, step: int) -> int:
        """Two hours, 40 samples at least."""
        return max(40, 7200 // step)

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedLstm:
        """Looks at which depths among the network's quantiles the past's outcomes lay."""
        del levels  # calibrated on a grid that serves all
        need = self.min_history(series.step)
        if series.known < need:
            raise InsufficientHistory(self.name, have=series.known, need=need)
        unit = Scale.of(series.values).unit
        horizons = anchors(series.step, max(1, horizon))
        weights = NETWORKS.resolve(self.weights)
        with np.errstate(over="ignore", under="ignore"):
            ceiling = float(min(np.nanmax(series.values) / unit, 1e100))
        local, depths = _own(series, unit, weights, horizons)
        return FittedLstm(
            step=series.step,
            unit=unit,
            weights=weights,
            horizons=horizons,
            local=local,
            depths=depths,
            ceiling=ceiling,
        )


def _own(series: TimeSeries, unit: float, weights: str, horizons: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """What the series' past says: how the network's middle is drawn, and the calibrated depths."""
    n, network = len(series), NETWORKS.known(weights)
    first = min(n - 1, max(n // 3, 7200 // series.step))
    origins = first + scattered(_CALIBRATION_ORIGINS, max(1, n - 1 - first))
    rows = Rows.of(series, origins, unit)
    after = np.log(future(in_units(series.values, unit, series.step), origins, max(horizons)) + FLOOR)
    at = np.array(horizons) - 1
    came = np.concatenate([after[:, at], running_maximum(after)[:, at]], axis=1)  # (N, KINDS * anchors)
    spread, ratios, weight = np.empty((3, *came.shape))
    looks, knots = np.empty((*came.shape, INPUTS)), np.empty((*came.shape, len(KNOTS)))
    for start in range(0, len(origins), _CHUNK):
        some = slice(start, start + _CHUNK)
        found = inputs(rows.at(some), horizons)
        spread[some], ratios[some] = found.spread, (came[some] - found.level[:, None]) / found.spread
        weight[some] = np.exp(0.5 * found.level)[:, None] * np.sqrt(found.spread)  # as errors count in training
        looks[some], knots[some] = looked_at(found), network.predict(found)
    apart = np.maximum(np.tile(horizons, len(KINDS)), _MINUTES_APART * 60 / series.step)
    independent = (~np.isnan(ratios)).mean(axis=0) * (n - first) / apart
    share = independent / (independent + _PRIOR)
    slopes, said = regression(looks, ratios, weight)
    drawn = _HALF * share
    shifted = knots + (drawn * (said - knots[:, :, 0]))[:, :, None]
    better = _losses(ratios, shifted, weight) < _WORSE * _losses(ratios, knots, weight)
    better &= n * series.step >= _DRAWN_FROM
    drawn, knots = np.where(better, drawn, 0.0), np.where(better[:, None], shifted, knots)
    local = np.concatenate([drawn[:, None] * slopes, drawn[:, None]], axis=1)
    ratios, knots = ratios * spread, knots * spread[:, :, None]
    depths = np.stack([depths_of(ratios[:, a], knots[:, a], _DEPTHS) for a in range(len(apart))], axis=1)
    conformal, plain = conformal_quantiles(depths, GRID), depth(GRID)[:, None]
    calibrated = np.where(np.isnan(conformal).any(axis=0), plain, share * conformal + (1 - share) * plain)
    return _by_kind(local.T), _by_kind(calibrated)


def _losses(came: FloatArray, knots: FloatArray, weight: FloatArray) -> FloatArray:
    """Pinball loss of each ask, whatever its scale; shape (A,)."""
    above, levels = came[:, :, None] - knots, np.array(KNOTS)
    return np.asarray(np.nansum(np.maximum(levels * above, (levels - 1) * above).mean(axis=2) * weight, axis=0))


def _by_kind(of_asks: FloatArray) -> FloatArray:
    """From (rows, asks) to (KINDS, rows, anchors), in what single precision holds."""
    parted = of_asks.reshape(len(of_asks), len(KINDS), -1).swapaxes(0, 1)
    return parted.astype(np.float32).astype(np.float64)
