"""What `foresail replay` computes on all cores: forecasts between two fits, and the outcome of a setting."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from forecasting.adaptive import RANK_LEVELS, ranks_of
from forecasting.batch import predict_many
from forecasting.calibration import future, running_maximum
from forecasting.errors import FitFailed, InsufficientHistory
from forecasting.refits import refit_at
from forecasting.registry import default_registry
from scaler.events.agenda import Agenda, without_events
from scaler.replay.compare import Point

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecasting.evaluation import Refit
    from forecasting.series import TimeSeries
    from scaler.events import Event
    from scaler.replay.policies import Peaks, Served
    from scaler.replay.simulator import Outcome
    from scaler.replay.study import Setting, Study

__all__ = ["FitJob", "Fitted", "Run", "RunJob", "fit", "run_setting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitJob:
    """A fit and the forecasts up to the next.

    Attributes:
        series: The whole history.
        ladder: Names of forecasters, the first that can be fitted is used; with the parameters of the first.
        parameters: The first one's.
        times: When fits are due.
        position: Which of these this one is.
        horizon: Steps to forecast.
        levels: Quantile levels.
        history: Samples to fit to, at most.
        steps: Of a decision's window: the forecasts are put to the test on its peak. 0: they are not.
        events: What is announced, and so not learned.
    """

    series: TimeSeries
    ladder: tuple[str, ...]
    parameters: dict[str, str]
    times: tuple[int, ...]
    position: int
    horizon: int
    levels: tuple[float, ...]
    history: int
    steps: int = 0
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What came of a FitJob.

    Attributes:
        forecaster: Name of the one used; "" if none could be fitted.
        explanation: What it says of itself; why each before it could not be fitted.
        refit: The forecasts; None without a forecaster.
        ranks: Where the peaks until the next fit lay among them, see `forecasting.adaptive`.
    """

    forecaster: str
    explanation: str
    refit: Refit | None
    ranks: NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, dtype=np.uint16))


def fit(job: FitJob) -> Fitted:
    """Fits the first forecaster of the ladder that can be, and forecasts from every sample until the next fit."""
    registry = default_registry()
    failures: list[str] = []
    levels = tuple(sorted({*job.levels, *(RANK_LEVELS if job.steps else ())}))
    learned = without_events(job.series, [Agenda(job.events)])
    for name in job.ladder:
        forecaster = registry.create(name, job.parameters if name == job.ladder[0] else None)
        try:
            refit = refit_at(
                learned,
                forecaster,
                job.times,
                job.position,
                horizon=job.horizon,
                levels=levels,
                history=job.history,
            )
        except (InsufficientHistory, FitFailed) as error:
            failures.append(str(error))
            continue
        says = getattr(refit.fitted, "explanation", "")
        if learned is not job.series:
            refit = _looking_at_events(job, refit)
        ranks = _ranks(job, learned, refit)
        return Fitted(name, "; ".join((*failures, says) if says else failures), _only(refit, job.levels), ranks)
    return Fitted("", "; ".join(failures), None)


def _looking_at_events(job: FitJob, refit: Refit) -> Refit:
    """The forecasts as the engine makes them: an event that is not over is looked at, one that is over is not."""
    agenda, series = Agenda(job.events), job.series
    ends = sorted({end for _, end in agenda.windows(since=series.start - series.step, until=series.end + 1.0)})
    origins = series.start + series.step * refit.positions
    over = np.searchsorted(np.array(ends) + series.step, origins, side="right")  # how many are, at each origin
    values, peak = refit.batch.values.copy(), refit.batch.peak.copy()
    for count in np.unique(over):
        rows = np.flatnonzero(over == count)
        seen = without_events(series.until(int(origins[rows[-1]])), [agenda], finished=True)
        batch = predict_many(refit.fitted, seen, refit.positions[rows], horizon=job.horizon, levels=refit.batch.levels)
        values[rows], peak[rows] = batch.values, batch.peak
    return replace(refit, batch=replace(refit.batch, values=values, peak=peak))


def _ranks(job: FitJob, series: TimeSeries, refit: Refit) -> NDArray[np.uint16]:
    """Of the peaks whose window is over when the next fit is made, as the engine ranks them."""
    after = refit.positions[1 : max(1, len(refit.positions) - job.steps + 1)]
    if not job.steps or not len(after):
        return np.empty(0, dtype=np.uint16)
    came = running_maximum(future(series.values, after, job.steps))[:, -1]
    rows = [refit.batch.levels.index(level) for level in RANK_LEVELS]
    return ranks_of(came, refit.batch.peak[1 : len(after) + 1, rows, job.steps - 1])


def _only(refit: Refit, levels: tuple[float, ...]) -> Refit:
    """The forecasts at these levels alone: they travel to another process."""
    batch = refit.batch
    rows = [batch.levels.index(level) for level in levels]
    return replace(refit, batch=replace(batch, levels=levels, values=batch.values[:, rows], peak=batch.peak[:, rows]))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """One setting to replay.

    Attributes:
        study: What all settings share.
        setting: The policy and its knobs.
        peaks: Forecasts at the setting's quantile; None for a policy without them.
        whole: Whether what was served and what came of it is wanted, beside the figures.
    """

    study: Study
    setting: Setting
    peaks: Peaks | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What came of a RunJob."""

    setting: Setting
    point: Point
    served: Served | None = None
    outcome: Outcome | None = None


def run_setting(job: RunJob) -> Run:
    """Replays one setting."""
    setting = job.setting
    peaks = {} if job.peaks is None else {job.peaks.quantile: job.peaks}
    served, outcome = job.study.run(setting, peaks)
    point = Point.of(outcome, policy=setting.policy, headroom=setting.headroom, quantile=setting.quantile)
    return Run(setting, point, served, outcome) if job.whole else Run(setting, point)
