"""The peak of the next quarter of an hour: linear quantiles, and trees on what they leave.

Where a load goes within minutes is nearly linear in where it just was, and a few steps of a tree are a bad copy of a
line. So each near horizon has a line of its own at each level, through what the series has just done, what it did at
this time of other days, and the fleet model's answer; a few trees, grown on near rows alone, explain the rest.

Sources: quantile regression as in `forecasting.boosting`, by majorising the loss with parabolas: Hunter and Lange,
"Quantile regression via an MM algorithm", Journal of Computational and Graphical Statistics 9, 2000; with a ridge:
Hoerl and Kennard, Technometrics 12, 1970; another model's answer among the regressors: Wolpert, "Stacked
generalization", Neural Networks 5, 1992.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from forecasting.boosting import LEVELS, Features, Growth, Sample, samples
from forecasting.features.rolling import Float32Array  # noqa: TC001  # msgspec reads the annotations of Nearby
from forecasting.features.seen import MISSING
from forecasting.quantiles import between
from forecasting.trees import Forest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.features.scalefree import Past
    from forecasting.fleet import FleetModel
    from forecasting.series import FloatArray
    from forecasting.windows import IntArray

__all__ = ["Nearby", "near_horizons"]

_GROWTH = Growth(trees=24, leaves=8, learning_rate=0.13, rows=8000, min_rows=20, features=0.25)
# Training rows of each near horizon: there are four at most.
_ROWS = 2000
_SECONDS = 900
# Features that lines go through, as columns of `forecasting.features.seen.Rows`; of log-ratios:
_RATIOS = (
    *range(5),  # the latest samples
    *range(8, 11),  # means over 5, 30 and 60 minutes
    *range(16, 19),  # the highest of 5, 15 and 60 minutes
    *(24, 25),  # the lowest of 15 and 60 minutes
    *(28, 29),  # the last 5 and 30 minutes against those before
    *(33, 39),  # ramps a day and a week ago
    *(43, 44, 45, 48, 49),  # of a week: the highest ramp, medians and means of what came and of ramps
    *(53, 57),  # of two weeks: median and mean ramp
    *(60, 61, 64, 65, 66),  # ramps around the same time of day
    *(68, 69, 70, 71, 74),  # ramps of the recent past
    *(78, 80, 81, 83, 85, 86),  # ramps some hours and periods ago
)
# And scatters over 15 and 60 minutes, and moves over 10 and 60, which are taken in units of the spread.
_MOVEMENTS = (88, 89, 92, 93)
# Regressors are cut here, in spreads: no line goes on through what was never seen.
_FARTHEST = 8.0
_RIDGE = 1e-3
_STEPS = 8
# Horizons with fewer rows keep the fleet model's answer for a line.
_LEAST_ROWS = 100


@dataclass(frozen=True, eq=False, kw_only=True)
class Nearby:
    """Log-ratios of peaks over near horizons.

    Attributes:
        horizons: Near ones, in steps, increasing.
        beyond: The next horizon that trees of all horizons answer for alone; 0 if there is none.
        lines: Coefficients, in units of the spread; shape (horizons, regressors, LEVELS).
        trees: An ensemble for each of LEVELS, of what the lines leave, in the same units.
    """

    horizons: tuple[int, ...]
    beyond: int
    lines: Float32Array
    trees: Forest

    @classmethod
    def grown(
        cls, past: Past, anchors: Sequence[int], step: int, *, fleet: FleetModel, first: int, end: int
    ) -> Self | None:
        """From rows of its own with origins in [first, end); None where there are none, or no anchor is near.

        Raises:
            FitFailed: LightGBM cannot be loaded.
        """
        near = near_horizons(anchors, step)
        if not near:
            return None
        rows = _ROWS * len(near)
        (train,) = samples(past, ("peak",), near, first=first, end=end, rows=rows, as_they_count=True)
        return cls.of(train, fleet.predict("peak", train.x), anchors) if len(train) else None

    @classmethod
    def of(cls, train: Sample, answer: FloatArray, anchors: Sequence[int]) -> Self:
        """Draws the lines and grows the trees.

        Args:
            train: Rows of the near anchors.
            answer: The fleet model's, in spreads; shape (N, LEVELS).
            anchors: Horizons that `train.anchor` refers to, near ones and those after them.

        Raises:
            FitFailed: LightGBM cannot be loaded.
        """
        count = int(train.anchor.max()) + 1
        y = train.y.astype(np.float64) / train.spread
        weight = train.weight if train.alike else train.weight * train.spread
        seen = _regressors(train.x, train.spread, answer)
        lines = np.zeros((count, seen.shape[1], len(LEVELS)), dtype=np.float32)
        lines[:, -len(LEVELS) :] = np.eye(len(LEVELS))
        start = np.empty((len(train), len(LEVELS)))
        for i in range(count):
            rows = train.anchor == i
            if np.count_nonzero(rows) >= _LEAST_ROWS:
                lines[i] = np.stack([_line(seen[rows], y[rows], weight[rows], level) for level in LEVELS], axis=1)
            start[rows] = _along(seen[rows], lines[i].astype(np.float64))  # as it is stored, not as it was found
        trees = Features(train.x, min_rows=_GROWTH.min_rows).fit_quantiles(y, weight, growth=_GROWTH, start=start)
        beyond = anchors[count] if count < len(anchors) else 0
        return cls(horizons=tuple(anchors[:count]), beyond=beyond, lines=lines, trees=Forest.of(trees))

    def instead(
        self, own: FloatArray, x: Float32Array, spread: Float32Array, answer: FloatArray, ahead: IntArray
    ) -> FloatArray:
        """Log-ratios at near horizons in place of others, passing over into those towards the horizon beyond.

        Args:
            own: The others; shape (N, LEVELS).
            x: Features, standardised; shape (N, F).
            spread: See `forecasting.features.seen.Rows`; shape (N,).
            answer: The fleet model's, in spreads; shape (N, LEVELS).
            ahead: Horizons, in steps; shape (N,).

        Returns:
            Shape (N, LEVELS).
        """
        share = self._share(ahead)
        near = np.flatnonzero(share)
        if not near.size:
            return own
        x, spread, ahead, share = x[near], spread[near], ahead[near], share[near, None]
        seen, found = _regressors(x, spread, answer[near]), self.trees.predict(x)
        steps = np.unique(ahead)
        lines = between(self.lines.transpose(1, 2, 0).astype(np.float64), self.horizons, steps.tolist())
        for place, step in enumerate(steps):
            rows = ahead == step
            found[rows] += _along(seen[rows], lines[..., place])
        out = own.copy()
        out[near] = share * found * spread[:, None] + (1 - share) * own[near]
        return out

    def _share(self, ahead: IntArray) -> FloatArray:
        """Of near ones in the log-ratio at these horizons: linear in the horizon's logarithm."""
        if not self.beyond:
            return np.ones(len(ahead))
        first, last = np.log(self.horizons[-1]), np.log(self.beyond)
        return np.asarray(np.clip((last - np.log(ahead)) / (last - first), 0.0, 1.0))


def near_horizons(anchors: Sequence[int], step: int) -> tuple[int, ...]:
    """Those of the anchors, in steps of so many seconds, that lie within a quarter of an hour."""
    return tuple(horizon for horizon in anchors if horizon * step <= _SECONDS)


def _regressors(x: Float32Array, spread: Float32Array, answer: FloatArray) -> FloatArray:
    """What lines go through: 1, features in spreads, the fleet's answer; shape (N, regressors)."""
    taken = x[:, (*_RATIOS, *_MOVEMENTS)].astype(np.float64)
    unknown = taken == MISSING
    taken[:, len(_RATIOS) :] /= spread[:, None]
    taken[unknown] = 0.0
    np.clip(taken, -_FARTHEST, _FARTHEST, out=taken)
    return np.concatenate([np.ones((len(x), 1)), taken, answer], axis=1)


def _along(seen: FloatArray, lines: FloatArray) -> FloatArray:
    """The regressors (N, regressors) by coefficients (regressors, L): added up in one order, whatever N is."""
    return np.asarray(np.add.reduce(seen.T[:, :, None] * lines[:, None, :], axis=0))


def _line(seen: FloatArray, y: FloatArray, weight: FloatArray, level: float) -> FloatArray:
    """Coefficients of the least pinball loss, nearly; shape (regressors,)."""
    size = np.sqrt(np.square(seen).mean(axis=0))
    size[size < 1e-9] = np.inf  # what never moves says nothing
    table, weight = seen / size, weight / weight.mean()
    ridge = np.full(table.shape[1], _RIDGE * len(y))
    ridge[0] = 1e-9  # the level is free
    found = np.linalg.solve(table.T @ table + np.diag(ridge), table.T @ y)
    least = 0.02 * float(np.abs(y - table @ found).mean()) + 1e-9
    pull = (level - 0.5) * (table.T @ weight)
    for _ in range(_STEPS):
        miss = np.abs(y - table @ found) + least
        curved = table * (weight / (2 * miss))[:, None]
        found = np.linalg.solve(curved.T @ table + np.diag(ridge / miss.mean()), curved.T @ y + pull)
    return np.asarray(found / size)
