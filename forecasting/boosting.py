"""Gradient-boosted quantiles on scale-free features: the part that local and fleet models share.

Source: Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978, boosted as in Friedman, "Greedy
function approximation: a gradient boosting machine", Annals of Statistics 29, 2001, by LightGBM (Ke et al.,
NeurIPS 2017). LightGBM is needed to fit, never to predict: what is kept are our own tables of trees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import FitFailed
from forecasting.trees import TreeEnsemble
from forecasting.windows import golden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from forecasting.features.rolling import Float32Array
    from forecasting.features.scalefree import Kind, Past
    from forecasting.features.seen import Rows
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = [
    "KINDS",
    "LEVELS",
    "Features",
    "Growth",
    "Sample",
    "anchors",
    "as_they_count",
    "fit_quantiles",
    "held_out_from",
    "long_enough",
    "sample",
    "samples",
]

KINDS: tuple[Kind, ...] = ("value", "peak")
# Quantile levels that are learned; others are interpolated and calibrated.
LEVELS = (0.5, 0.9, 0.97)
_ANCHOR_MINUTES = (1, 3, 5, 10, 15, 30, 60, 120, 240, 480, 1440)
# How many of them there are at most: of four hours all, so that what goes by a clock of minutes is not interpolated:
# peaks over 10 minutes from those over 5 and 15 lost up to 5 times what the last value did on jobs of every 15 minutes.
_MAX_ANCHORS = 9
# Rows are taken as often as they count where there are so many times as many positions as wanted rows, so that few are
# there more than once; where most samples are missing they are, which did no harm.
_CHOICE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How trees are grown.

    Attributes:
        trees: How many.
        leaves: Leaves of each, at most `forecasting.trees.MAX_LEAVES`.
        learning_rate: Share of each tree that is added.
        rows: Training rows used at most.
        min_rows: Rows in a leaf at least.
        features: Share of the features that each tree may use.
    """

    trees: int
    leaves: int
    learning_rate: float
    rows: int
    min_rows: int
    features: float = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Training rows: features of past origins and what came.

    Attributes:
        x: Features, standardised; shape (N, F).
        spread: See `Rows`; shape (N,).
        level: Log level; shape (N,).
        y: Log-ratio that came; shape (N,).
        anchor: Index of the row's horizon among the anchors; shape (N,).
        weight: What an error counts: the root of the level, between relative and absolute ones; 1 where rows were taken
            as often as they count. Shape (N,).
    """

    x: Float32Array
    spread: Float32Array
    level: Float32Array
    y: Float32Array
    anchor: IntArray
    weight: Float32Array

    def __len__(self) -> int:
        return len(self.y)

    @property
    def alike(self) -> bool:
        """Whether all rows weigh the same."""
        return bool((self.weight == 1).all())


def anchors(step: int, horizon: int, *, most: int = _MAX_ANCHORS) -> tuple[int, ...]:
    """Horizons in steps at which models are trained and asked, at most so many: those between are interpolated."""
    wanted = {min(horizon, max(1, round(minutes * 60 / step))) for minutes in _ANCHOR_MINUTES} | {1, horizon}
    out = sorted(h for h in wanted if h <= horizon)
    while len(out) > most:  # drop the one nearest to its neighbours, in ratio
        gaps = [math.log(out[i + 1] / out[i - 1]) for i in range(1, len(out) - 1)]
        del out[1 + int(np.argmin(gaps))]
    return tuple(out)


def held_out_from(series: TimeSeries) -> int:
    """Position from where the latest part of a history is kept for calibration and comparison.

    A fifth of it, 18 hours to 3 days; of less than two days, all but the first quarter of a day.
    """
    n, day = len(series), 86400 / series.step
    if not long_enough(series):
        return min(n // 3, int(day // 4))
    return n - int(np.clip(0.2 * n, 0.75 * day, 3 * day))


def long_enough(series: TimeSeries) -> bool:
    """Whether a series has the two days that growing trees on it takes."""
    return series.known >= 2 * 86400 / series.step


def sample(past: Past, kind: Kind, horizons: Sequence[int], *, first: int, end: int, rows: int) -> Sample:
    """Training rows of one kind; see `samples`."""
    return samples(past, (kind,), horizons, first=first, end=end, rows=rows)[0]


def samples(
    past: Past,
    kinds: Sequence[Kind],
    horizons: Sequence[int],
    *,
    first: int,
    end: int,
    rows: int,
    as_they_count: bool = False,
) -> tuple[Sample, ...]:
    """Training rows with origins in [first, end) whose outcome is known before `end`; for each kind.

    Args:
        past: Prepared series.
        kinds: What to explain.
        horizons: Anchors; each gets an equal share of the rows.
        first: First origin.
        end: Positions from here on are not looked at.
        rows: Rows wanted in all, of each kind.
        as_they_count: Not evenly spaced, where there are more to choose from, but the denser the more they count.
            Trees on rows that weigh alike grow in not much more than half the time.
    """
    parts: list[list[Sample]] = [[] for _ in kinds]
    each = max(1, rows // len(horizons))
    dense = as_they_count and end - first - horizons[-1] >= _CHOICE * each
    density = _weight(past.level) if dense else None
    for i, horizon in enumerate(horizons):
        targets = [past.target(horizon, kind) for kind in kinds]
        taken = [_origins(y, first, end - horizon, each, turn=(i, len(horizons)), density=density) for y in targets]
        for part, y, origins, found in zip(parts, targets, taken, _rows(past, taken, horizon, kinds), strict=True):
            anchor = np.full(len(origins), i)
            weight = np.ones_like(found.level) if dense else _weight(found.level)
            part.append(Sample(found.standardised(), found.spread, found.level, y[origins], anchor, weight))
    return tuple(Sample(*(np.concatenate([getattr(p, n) for p in part]) for n in Sample.__slots__)) for part in parts)


def _weight(level: Float32Array) -> Float32Array:
    return np.asarray(np.exp(0.5 * level))


def _origins(
    y: Float32Array, first: int, end: int, each: int, *, turn: tuple[int, int], density: Float32Array | None
) -> IntArray:
    """At most so many origins with a known target, in order.

    Args:
        y: Targets at every position.
        first: First origin.
        end: Origins are before it.
        each: How many.
        turn: Which anchor of how many: they take turns, so that together they see more origins.
        density: How often each position is wanted, relative to others; None: all alike, once.
    """
    origins = np.arange(first, max(first, end), dtype=np.int64)
    origins = origins[~np.isnan(y[origins])]
    which, of = turn
    if density is not None and len(origins):
        origins = origins[as_they_count(density[origins], each, begin=golden(each, (which + 0.5) / of))]
    elif len(origins) > each:
        origins = origins[(np.arange(each) * len(origins) + which * len(origins) // of) // each % len(origins)]
        origins.sort()
    return origins


def as_they_count(weight: NDArray[np.floating], count: int, *, begin: float | FloatArray = 0.5) -> IntArray:
    """So many indices in order, each as often as its weight is a share of all, by systematic sampling.

    Source: Madow, "On the theory of systematic sampling, II", Annals of Mathematical Statistics 20, 1949.

    Args:
        weight: Not negative, not all 0; shape (N,), not empty.
        count: How many.
        begin: Where the first lies in its share of the whole, or each in its own, between 0 and 1.
    """
    reached = np.cumsum(weight, dtype=np.float64)
    wanted = (np.arange(count) + begin) * (reached[-1] / count)
    return np.asarray(np.minimum(np.searchsorted(reached, wanted), len(weight) - 1))


def _rows(past: Past, origins: Sequence[IntArray], horizon: int, kinds: Sequence[Kind]) -> list[Rows]:
    """Features for each kind; most of them are the same for all, if their origins are: where no sample is missing."""
    same = origins[0]
    if not all(np.array_equal(same, other) for other in origins[1:]):
        return [past.rows(some, [(horizon, kind)]) for some, kind in zip(origins, kinds, strict=True)]
    found = past.rows(same, [(horizon, kind) for kind in kinds])
    return [found.part(i * len(same), len(same)) for i in range(len(kinds))]


def fit_quantiles(
    x: Float32Array, y: NDArray[np.floating], weight: NDArray[np.floating], *, growth: Growth
) -> tuple[TreeEnsemble, ...]:
    """One ensemble for each of LEVELS; arguments and errors as of `Features`."""
    return Features(x, min_rows=growth.min_rows).fit_quantiles(y, weight, growth=growth)


class Features:
    """Features binned once, for all the trees that are grown on them.

    Args:
        x: Features; shape (N, F).
        min_rows: Rows in a leaf at least, of all the trees.

    Raises:
        FitFailed: LightGBM cannot be loaded.
    """

    def __init__(self, x: Float32Array, *, min_rows: int) -> None:
        try:
            import lightgbm  # noqa: PLC0415  # heavy, and needed by processes that fit alone
        except (ImportError, OSError) as error:  # OSError: its shared library, or libgomp, is not there
            raise FitFailed(
                f"growing trees needs LightGBM (and the system's libgomp1), which does not load: {error}"
            ) from error
        self._booster = lightgbm.Booster
        self._settings = {
            "objective": "quantile",
            "min_data_in_leaf": min_rows,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "max_bin": 63,
            "bin_construct_sample_cnt": 4000,
            "num_threads": 1,
            "deterministic": True,
            "force_col_wise": True,  # each tree looks at a quarter of the features
            "seed": 1,
            "verbosity": -1,
        }
        self._data = lightgbm.Dataset(x, label=np.zeros(len(x)), params=self._settings, free_raw_data=False)

    def fit_quantiles(
        self,
        y: NDArray[np.floating],
        weight: NDArray[np.floating],
        *,
        growth: Growth,
        start: FloatArray | None = None,
    ) -> tuple[TreeEnsemble, ...]:
        """One ensemble for each of LEVELS.

        Args:
            y: Targets; shape (N,).
            weight: Non-negative; shape (N,).
            growth: How trees are grown; `rows` and `min_rows` are not looked at.
            start: What is predicted already, by level: trees explain the rest; shape (N, len(LEVELS)).
        """
        settings = {
            **self._settings,
            "num_leaves": growth.leaves,
            "learning_rate": growth.learning_rate,
            "feature_fraction": growth.features,
        }
        self._data.set_label(y)
        # leaves are quantiles: among rows with weights LightGBM finds them by sorting, and much faster among others
        self._data.set_weight(None if np.ptp(weight) == 0 else weight / np.mean(weight))
        out = []
        for i, level in enumerate(LEVELS):
            self._data.set_init_score(None if start is None else np.ascontiguousarray(start[:, i]))
            # not `lightgbm.train`, which writes the model down and reads it again before giving it back
            model = self._booster({**settings, "alpha": level}, self._data)
            for _ in range(growth.trees):
                model.update()
            out.append(TreeEnsemble.of(model.model_to_string()))
        return tuple(out)
