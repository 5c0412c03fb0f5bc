"""What `foresail replay` computes on all cores: forecasts between two fits, and the outcome of a setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecasting.errors import FitFailed, InsufficientHistory
from forecasting.refits import refit_at
from forecasting.registry import default_registry
from scaler.replay.compare import Point

if TYPE_CHECKING:
    from forecasting.evaluation import Refit
    from forecasting.series import TimeSeries
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
    """

    series: TimeSeries
    ladder: tuple[str, ...]
    parameters: dict[str, str]
    times: tuple[int, ...]
    position: int
    horizon: int
    levels: tuple[float, ...]
    history: int


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What came of a FitJob.

    Attributes:
        forecaster: Name of the one used; "" if none could be fitted.
        explanation: What it says of itself; why each before it could not be fitted.
        refit: The forecasts; None without a forecaster.
    """

    forecaster: str
    explanation: str
    refit: Refit | None


def fit(job: FitJob) -> Fitted:
    """Fits the first forecaster of the ladder that can be, and forecasts from every sample until the next fit."""
    registry = default_registry()
    failures: list[str] = []
    for name in job.ladder:
        forecaster = registry.create(name, job.parameters if name == job.ladder[0] else None)
        try:
            refit = refit_at(
                job.series,
                forecaster,
                job.times,
                job.position,
                horizon=job.horizon,
                levels=job.levels,
                history=job.history,
            )
        except (InsufficientHistory, FitFailed) as error:
            failures.append(str(error))
            continue
        says = getattr(refit.fitted, "explanation", "")
        return Fitted(name, "; ".join((*failures, says) if says else failures), refit)
    return Fitted("", "; ".join(failures), None)


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
