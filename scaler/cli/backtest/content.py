"""What the page shows, computed: nothing of how it looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaler.cli.backtest.results import relative
from scaler.kinds import HOUR

if TYPE_CHECKING:
    from forecasting.evaluation import Score
    from forecasting.series import FloatArray
    from scaler.cli.backtest.arguments import Plan
    from scaler.cli.backtest.results import Outcomes, Results

__all__ = ["HOURS", "Content", "Miss", "Stretch"]

HOURS = 24
_MOST_FANS = 36  # more are a thicket
_LENGTH = 12 * int(HOUR)  # of a stretch
_LEAST_SAMPLES = 96  # of a stretch: twelve hours of coarse samples show little
_USUAL_LEVEL = 0.9  # what the words are about, if it was asked for


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of the history that the page shows close up.

    Attributes:
        start: Its first moment, epoch seconds, on the grid.
        end: Its last.
        every: Seconds from one fan to the next.
    """

    start: int
    end: int
    every: int

    @classmethod
    def of(cls, plan: Plan, asked: float | None) -> Stretch:
        """Half a day from the moment asked for, or else around the highest load of the part that is forecast."""
        series = plan.series
        step, first = series.step, plan.train_end
        length = min(max(_LENGTH, _LEAST_SAMPLES * step) // step * step, plan.tested)
        if asked is None:
            tested = series.values[(first - series.start) // step :]
            highest = first + step * int(np.argmax(np.nan_to_num(tested, nan=-np.inf)))
            start = (highest - length // 2) // int(HOUR) * int(HOUR)
        else:
            start = int(asked)
        start = first + max(0, start - first) // step * step
        start = min(start, series.end - length)
        every = max(plan.horizons[-1], math.ceil(length / _MOST_FANS / step) * step)
        return cls(start, start + length, every)

    @property
    def origins(self) -> range:
        """Times from which fans are drawn."""
        return range(self.start, self.end, self.every)


@dataclass(frozen=True, slots=True)
class Miss:
    """Where a promise was missed the most.

    Attributes:
        what: Value or peak.
        horizon: Seconds.
        level: What was promised.
        coverage: What was kept.
    """

    what: str
    horizon: int
    level: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Content:
    """A whole page.

    Attributes:
        plan: What was tried.
        results: Of the forecaster.
        reference: Of repeating the last value, in the same run.
        outcomes: What came.
        stretch: What is shown close up.
    """

    plan: Plan
    results: Results
    reference: Results
    outcomes: Outcomes
    stretch: Stretch

    @property
    def horizon(self) -> int:
        """The one that the words are about: the middle one."""
        horizons = self.plan.horizons
        return horizons[len(horizons) // 2]

    @property
    def level(self) -> float:
        """The one that the words are about."""
        return min(self.plan.levels, key=lambda level: abs(level - _USUAL_LEVEL))

    def gain(self, horizon: int) -> float:
        """The pinball loss of the peak, divided by the reference's; NaN where nothing could be judged."""
        return relative(self.results.peak_scores[horizon], self.reference.peak_scores[horizon], self.level)

    def worst(self) -> Miss | None:
        """The promise that was missed the most; None if nothing could be judged."""
        scores: list[tuple[str, dict[int, Score]]] = [
            ("value", self.results.value_scores),
            ("peak", self.results.peak_scores),
        ]
        misses = [
            Miss(what, horizon, level, coverage)
            for what, by_horizon in scores
            for horizon, one in by_horizon.items()
            for level, coverage in one.coverage.items()
            if not math.isnan(coverage)
        ]
        return max(misses, key=lambda miss: abs(miss.coverage - miss.level), default=None)

    def by_hour(self, results: Results, horizon: int) -> FloatArray:
        """Mean absolute error of the median by the hour of day (UTC) of what was forecast; shape (24,), NaN: none."""
        n, series = self.plan.horizons.index(horizon), self.plan.series
        miss = np.abs(self.outcomes.values[:, n] - results.values[:, results.median, n])
        hours = (series.start + series.step * results.positions + horizon) // 3600 % HOURS
        known = ~np.isnan(miss)
        count = np.bincount(hours[known], minlength=HOURS)
        total = np.bincount(hours[known], weights=miss[known], minlength=HOURS)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def hardest_hours(self) -> tuple[int, float] | None:
        """The hour with the largest error and how many times the mean over hours that is; None if there is none."""
        errors = self.by_hour(self.results, self.horizon)
        if np.isnan(errors).all() or not np.nanmean(errors):
            return None
        return int(np.nanargmax(errors)), float(np.nanmax(errors) / np.nanmean(errors))
