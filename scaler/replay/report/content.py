"""What a report shows, computed: nothing of how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.calibration import future, running_maximum
from scaler.replay.hpa import SYNC_PERIOD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecasting.series import FloatArray, TimeSeries
    from scaler.replay.compare import Point
    from scaler.replay.gating import GateLog
    from scaler.replay.simulator import Outcome
    from scaler.replay.study import Study

__all__ = ["Content", "Episode", "Shown", "coverage", "episodes"]

_GAP = 15 * 60  # seconds: shortfalls nearer than this are one event


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One policy of the report.

    Attributes:
        label: For people, e.g. "plain KEDA, headroom 1.25".
        point: Its figures.
        outcome: What happened, sync by sync.
    """

    label: str
    point: Point
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Content:
    """A whole report.

    Attributes:
        name: Of the series.
        study: What was replayed.
        chosen: The policy asked for.
        others: What it is compared with; the first is plain KEDA as it is.
        equal_cost: Plain KEDA given the same pod-hours, if that is possible; one of `others`.
        curves: All settings run, by the name of a curve.
        calibration: Share of actual peaks at or below the forecast, by quantile; empty without forecasts.
        forecasts: Which methods forecast, and what they say; "" without.
        gate: What the gate did; None without forecasts.
    """

    name: str
    study: Study
    chosen: Shown
    others: Sequence[Shown]
    equal_cost: Shown | None
    curves: Mapping[str, Sequence[Point]]
    calibration: Mapping[float, float]
    forecasts: str
    gate: GateLog | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of time in which some policy fell short.

    Attributes:
        first: Index of its first sync.
        last: Index of its last.
        peak: The highest load.
        shed: Load-seconds that found no ready pod, by policy in the order given.
    """

    first: int
    last: int
    peak: float
    shed: tuple[float, ...]


def episodes(outcomes: Sequence[Outcome], *, most: int) -> list[Episode]:
    """The events in which the policies together shed the most, the largest first."""
    shortfalls = np.stack([outcome.shortfall for outcome in outcomes])
    short = np.flatnonzero(shortfalls.any(axis=0))
    if not len(short):
        return []
    breaks = np.flatnonzero(np.diff(short) > _GAP // SYNC_PERIOD)
    firsts = short[np.concatenate(([0], breaks + 1))]
    lasts = short[np.concatenate((breaks, [len(short) - 1]))]
    load = np.nan_to_num(outcomes[0].demand.load)
    found = [
        Episode(
            int(first),
            int(last),
            float(load[first : last + 1].max()),
            tuple((shortfalls[:, first : last + 1].sum(axis=1) * SYNC_PERIOD).tolist()),
        )
        for first, last in zip(firsts, lasts, strict=True)
    ]
    return sorted(found, key=lambda episode: (-sum(episode.shed), episode.first))[:most]


def coverage(
    series: TimeSeries, peaks: FloatArray, levels: Sequence[float], *, steps: int, first: int
) -> dict[float, float]:
    """Share of actual peaks at or below the forecast ones, by quantile level.

    Args:
        series: The whole history.
        peaks: Shape (levels, samples, horizon), NaN where there was no forecast.
        levels: Their quantile levels.
        steps: Over how many steps the peak is taken.
        first: The first sample that counts.
    """
    positions = np.arange(first, len(series) - steps)
    if not len(positions):
        return {}
    actual = running_maximum(future(series.values, positions, steps))[:, steps - 1]
    forecast = peaks[:, positions, steps - 1]
    known = ~np.isnan(actual) & ~np.isnan(forecast[0])
    if not known.any():
        return {}
    return {level: float(np.mean(actual[known] <= row[known])) for level, row in zip(levels, forecast, strict=True)}
