"""The peak of the next quarter of an hour: linear quantiles, and trees on what they leave.

Where a load goes within minutes is nearly linear in where it just was, and a few steps of a tree are a bad copy of a
line. So each near horizon has a line of its own at each level, through what the series has just done, what it did at
this time of other days, and the fleet model's answer; a few trees, grown on near rows alone, explain the rest. No line
knows of a switch: the trees of all horizons are heard beside them, the more the less they lost on rows that neither has
seen.

Sources: quantile regression as in `forecasting.boosting`, by majorising the loss with parabolas: Hunter and Lange,
"Quantile regression via an MM algorithm", Journal of Computational and Graphical Statistics 9, 2000; with a ridge:
Hoerl and Kennard, Technometrics 12, 1970; another model's answer among the regressors: Wolpert, "Stacked
generalization", Neural Networks 5, 1992.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from forecasting.boosting import LEVELS, Features, Growth, Sample, samples
from forecasting.features.names import columns
from forecasting.features.rolling import Float32Array  # noqa: TC001  # msgspec reads the annotations of Nearby
from forecasting.features.seen import MISSING
from forecasting.quantiles import between
from forecasting.shares import mixed, share_of
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
# Features that lines go through: log-ratios,
_RATIOS = columns(
    *(f"lag {steps}" for steps in range(5)),
    *(f"mean of {minutes} minutes" for minutes in (5, 30, 60)),
    *(f"highest of {minutes} minutes" for minutes in (5, 15, 60)),
    *(f"lowest of {minutes} minutes" for minutes in (15, 60)),
    *(f"{minutes} minutes against those before" for minutes in (5, 30)),
    *(f"{days} days ago: ramp" for days in (1, 7)),
    "7 days' highest: ramp",
    *(f"7 days' {what}: {of}" for what in ("median", "mean") for of in ("came", "ramp")),
    *(f"14 days' {what}: ramp" for what in ("median", "mean")),
    *(f"around, {days} days' mean" for days in (7, 14)),
    "around, 14 days' mean of the highest",
    "close, 7 days' median of the highest",
    "around, highest a day ago",
    *(f"ramps of 60 minutes: {what}" for what in ("mean", "highest", "size")),
    *(f"ramps of {minutes} minutes: mean" for minutes in (360, 1440)),
    *(f"{cycle}{what}: ramp" for cycle in ("hour", "period") for what in (" ago", "s' mean", "s' highest")),
)
# and some that are not, which are taken in units of the spread.
_MOVEMENTS = columns(
    *(f"scatter of {minutes} minutes" for minutes in (15, 60)), *(f"moves of {minutes} minutes" for minutes in (10, 60))
)
# Regressors are cut here, in spreads: no line goes on through what was never seen.
_FARTHEST = 8.0
_RIDGE = 1e-3
_STEPS = 8
# To which power relative losses count between lines and the trees of all horizons: these are the worse of the two on
# most series, by a fifth, and their share is to be next to nothing there.
_SHARPNESS = 16.0
# Nor does its answer leave what came in training, so many times as far: a burst took it a million times too high. At 1
# heavy tails are cut, of which 2,000 rows do not show the end: one trace lost a tenth more.
_LEEWAY = 2.0
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
        bounds: What its answer does not leave, in the same units; shape (2, horizons).
        share: Of all this in the mean with the trees of all horizons.
    """

    horizons: tuple[int, ...]
    beyond: int
    lines: Float32Array
    trees: Forest
    bounds: Float32Array
    share: float = 1.0

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
        bounds = np.zeros((2, count), dtype=np.float32)
        for i in range(count):
            rows = train.anchor == i
            bounds[:, i] = _LEEWAY * y[rows].min(initial=0.0), _LEEWAY * y[rows].max(initial=0.0)
            if np.count_nonzero(rows) >= _LEAST_ROWS:
                lines[i] = np.stack([_line(seen[rows], y[rows], weight[rows], level) for level in LEVELS], axis=1)
            start[rows] = _along(seen[rows], lines[i].astype(np.float64))  # as it is stored, not as it was found
        trees = Features(train.x, min_rows=_GROWTH.min_rows).fit_quantiles(y, weight, growth=_GROWTH, start=start)
        beyond = anchors[count] if count < len(anchors) else 0
        forest = Forest.of(trees)
        return cls(horizons=tuple(anchors[:count]), beyond=beyond, lines=lines, trees=forest, bounds=bounds)

    def heard(self, after: Sample, own: FloatArray, answer: FloatArray, anchors: Sequence[int]) -> Self:
        """The same with the share that its losses give it beside others.

        Args:
            after: Rows that neither has seen.
            own: The others' log-ratios; shape (N, LEVELS).
            answer: The fleet model's, in spreads; shape (N, LEVELS).
            anchors: Horizons that `after.anchor` refers to.
        """
        alone = replace(self, share=1.0).instead(own, after.x, after.spread, answer, np.array(anchors)[after.anchor])
        return replace(self, share=share_of(after, (own, alone), range(len(self.horizons)), sharpness=_SHARPNESS))

    def instead(
        self, own: FloatArray, x: Float32Array, spread: Float32Array, answer: FloatArray, ahead: IntArray
    ) -> FloatArray:
        """Log-ratios at near horizons beside others, passing over into those towards the horizon beyond.

        Args:
            own: The others; shape (N, LEVELS).
            x: Features, standardised; shape (N, F).
            spread: See `forecasting.features.seen.Rows`; shape (N,).
            answer: The fleet model's, in spreads; shape (N, LEVELS).
            ahead: Horizons, in steps; shape (N,).

        Returns:
            Shape (N, LEVELS).
        """
        share = self.share * self._near(ahead)
        near = np.flatnonzero(share)
        if not near.size:
            return own
        x, spread, ahead, share = x[near], spread[near], ahead[near], share[near, None]
        seen, found = _regressors(x, spread, answer[near]), self.trees.predict(x)
        steps = np.unique(ahead)
        lines = between(self.lines.transpose(1, 2, 0).astype(np.float64), self.horizons, steps.tolist())
        bounds = between(self.bounds.astype(np.float64), self.horizons, steps.tolist())
        for place, step in enumerate(steps):
            rows = ahead == step
            found[rows] = np.clip(found[rows] + _along(seen[rows], lines[..., place]), *bounds[:, place])
        out = own.copy()
        out[near] = mixed((own[near], found * spread[:, None]), share)
        return out

    def _near(self, ahead: IntArray) -> FloatArray:
        """How near these horizons are, 1 to 0 at the one beyond: linear in the horizon's logarithm."""
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
