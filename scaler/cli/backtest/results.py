"""All forecasts of a backtest beside what came, and how good they were."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.calibration import future, running_maximum
from forecasting.evaluation import score, training_scale
from scaler.errors import InvalidSettings
from scaler.times import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.evaluation import Score
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray
    from scaler.cli.backtest.arguments import Plan
    from scaler.cli.backtest.jobs import Part

__all__ = ["Outcomes", "Results", "gathered", "relative"]

_CHUNK = 8_000_000  # numbers looked at together


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What came after each origin.

    Attributes:
        values: The value at each horizon; shape (N, horizons), NaN where it is not known.
        peaks: The maximum up to each horizon; likewise.
    """

    values: FloatArray
    peaks: FloatArray

    @classmethod
    def of(cls, series: TimeSeries, positions: IntArray, steps: Sequence[int]) -> Outcomes:
        """Looks them up.

        Args:
            series: The whole history.
            positions: Of the origins in it.
            steps: The horizons in steps.
        """
        at = np.array(steps) - 1
        values = np.empty((len(positions), len(steps)))
        peaks = np.empty_like(values)
        size = max(1, _CHUNK // steps[-1])
        for first in range(0, len(positions), size):
            chunk = slice(first, first + size)
            came = future(series.values, positions[chunk], steps[-1])
            values[chunk], peaks[chunk] = came[:, at], running_maximum(came)[:, at]
        return cls(values, peaks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Results:
    """What a forecaster said, and how good that was.

    Attributes:
        forecaster: Its name.
        positions: Of the origins in the series; shape (N,).
        levels: Quantile levels forecast, the median among them, whether it was asked for or not.
        values: Quantiles of the values; shape (N, levels, horizons), NaN where there was too little to forecast from.
        peaks: Quantiles of the maximum up to the horizon; likewise.
        value_scores: By horizon in seconds.
        peak_scores: By horizon in seconds.
        whole: The values at every step by the time of the origin, for the origins of which that was asked.
        fit_seconds: CPU time of each fit.
        predict_seconds: Mean CPU time of a forecast.
        failures: What fits failed with.
        explanation: What the last fit says of itself.
    """

    forecaster: str
    positions: IntArray
    levels: tuple[float, ...]
    values: FloatArray
    peaks: FloatArray
    value_scores: dict[int, Score]
    peak_scores: dict[int, Score]
    whole: dict[int, FloatArray]
    fit_seconds: tuple[float, ...]
    predict_seconds: float
    failures: tuple[str, ...]
    explanation: str

    @property
    def median(self) -> int:
        """Where the median is among the levels."""
        return self.levels.index(0.5)


def relative(one: Score, other: Score, level: float) -> float:
    """A pinball loss divided by another's: 1 where neither has any, infinite where only the other has none."""
    loss, reference = one.pinball[level], other.pinball[level]
    if reference:
        return loss / reference
    return math.inf if loss else 1.0


def gathered(
    plan: Plan, forecaster: str, levels: tuple[float, ...], parts: Sequence[Part], outcomes: Outcomes
) -> Results:
    """The parts of one forecaster, in the order of time, put together and scored.

    Raises:
        InvalidSettings: The forecaster could not be fitted at the start.
    """
    if parts[0].error:
        raise InvalidSettings(
            [f"--forecaster {forecaster} cannot be fitted to the samples up to {iso(plan.train_end)}: {parts[0].error}"]
        )
    values = np.concatenate([part.values for part in parts])
    peaks = np.concatenate([part.peak for part in parts])
    scale = training_scale(plan.series, plan.train_end)
    return Results(
        forecaster=forecaster,
        positions=np.concatenate([part.positions for part in parts]),
        levels=levels,
        values=values,
        peaks=peaks,
        value_scores={
            horizon: score(outcomes.values[:, n], values[:, :, n], levels, plan.levels, scale)
            for n, horizon in enumerate(plan.horizons)
        },
        peak_scores={
            horizon: score(outcomes.peaks[:, n], peaks[:, :, n], levels, plan.levels, scale)
            for n, horizon in enumerate(plan.horizons)
        },
        whole={time: values for part in parts for time, values in part.whole.items()},
        fit_seconds=tuple(part.fit_seconds for part in parts),
        predict_seconds=sum(part.predict_seconds for part in parts) / len(values),
        failures=tuple(part.failed for part in parts if part.failed),
        explanation=parts[-1].explanation,
    )
