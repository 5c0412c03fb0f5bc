"""What `foresail replay` computes on all cores: forecasts between two fits, and the outcome of a setting."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from forecasting.adaptive import RANK_LEVELS, ranks_of
from forecasting.batch import predict_many
from forecasting.calibration import future, running_maximum
from forecasting.errors import FitFailed, InsufficientHistory
from forecasting.evaluation import Refit
from forecasting.levels import DEFAULT_LEVEL
from forecasting.premium import CHOICES, level_within, premiums
from forecasting.refits import latest_fit, origins_of
from forecasting.registry import default_registry, fitting
from scaler.decision import horizon
from scaler.decision.reading import levels_for
from scaler.engine.state import BANDS
from scaler.events.agenda import Agenda, without_events
from scaler.local_calendar import with_calendar
from scaler.replay.compare import Point
from scaler.replay.forecasts import levels_in_force, read_peaks
from scaler.replay.policies import Peaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from forecasting.refits import LatestFit
    from forecasting.series import FloatArray, TimeSeries
    from scaler.events import Event
    from scaler.replay.policies import Served
    from scaler.replay.simulator import Outcome
    from scaler.replay.study import Setting, Study

__all__ = ["FitJob", "Fitted", "Run", "RunJob", "fit", "only_at", "peaks_at", "ranks_earned", "run_setting"]


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
        premium: The quantile that this buys is forecast, too (`forecasting.premium`); None: none is chosen.
        highest: None above this quantile is chosen.
        time_zone: Whose clocks the load follows,
        holidays: and whose holidays; of every forecaster of the ladder that asks.
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
    premium: float | None = None
    highest: float = CHOICES[-1]
    time_zone: str = "UTC"
    holidays: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What came of a FitJob.

    Attributes:
        forecaster: Name of the one used; "" if none could be fitted.
        explanation: What it says of itself; why each before it could not be fitted.
        refit: The forecasts; None without a forecaster.
        ranks: Where the peaks until the next fit lay among them, see `forecasting.adaptive`.
        chosen: The quantile that the job's premium buys; None without one.
    """

    forecaster: str
    explanation: str
    refit: Refit | None
    ranks: NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, dtype=np.uint16))
    chosen: float | None = None


def fit(job: FitJob) -> Fitted:
    """Fits the first forecaster of the ladder that can be, and forecasts from every sample until the next fit."""
    registry = default_registry()
    failures: list[str] = []
    learned = without_events(job.series, [Agenda(job.events)])
    for name in job.ladder:
        own = job.parameters if name == job.ladder[0] else {}
        told = with_calendar(name, own, time_zone=job.time_zone, holidays=job.holidays)
        forecaster = fitting(registry.create(name, told), learned)
        try:
            latest = latest_fit(
                learned,
                forecaster,
                job.times,
                job.position,
                horizon=job.horizon,
                levels=BANDS,  # as in the server: what is forecast does not depend on who asks
                history=job.history,
            )
        except (InsufficientHistory, FitFailed) as error:
            failures.append(str(error))
            continue
        chosen = None if job.premium is None else _bought(job, learned, job.premium, latest)
        refit, ranks = _forecasts(job, learned, latest, chosen)
        says = getattr(latest.fitted, "explanation", "")
        return Fitted(name, "; ".join((*failures, says) if says else failures), refit, ranks, chosen)
    return Fitted("", "; ".join(failures), None)


def _bought(job: FitJob, learned: TimeSeries, premium: float, latest: LatestFit) -> float:
    past = learned.until(latest.at).last(job.history)
    found = premiums(latest.fitted, past, horizon=job.horizon)
    return level_within(found, premium, steps=job.steps, highest=job.highest)


def _forecasts(
    job: FitJob, learned: TimeSeries, latest: LatestFit, chosen: float | None
) -> tuple[Refit, NDArray[np.uint16]]:
    """From every sample until the next fit, and how they did."""
    wanted = {*job.levels, *(() if chosen is None else levels_for(chosen))}
    levels = tuple(sorted({*wanted, *(RANK_LEVELS if job.steps else ())}))
    origins = origins_of(job.series, job.times, job.position)
    seen = learned.first(int(origins[-1]) + 1)
    batch = predict_many(latest.fitted, seen, origins, horizon=job.horizon, levels=levels)
    refit = Refit(latest.at, latest.fitted, latest.failed, latest.seconds, 0.0, batch, origins)
    if learned is not job.series:
        refit = _looking_at_events(job, refit)
    return only_at(refit, tuple(sorted(wanted))), ranks_earned(job, learned, refit)


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


def ranks_earned(job: FitJob, series: TimeSeries, refit: Refit) -> NDArray[np.uint16]:
    """Of the peaks whose window is over when the next fit is made, as the engine ranks them, at RANK_LEVELS."""
    after = refit.positions[1 : max(1, len(refit.positions) - job.steps + 1)]
    if not job.steps or not len(after):
        return np.empty(0, dtype=np.uint16)
    came = running_maximum(future(series.values, after, job.steps))[:, -1]
    rows = [refit.batch.levels.index(level) for level in RANK_LEVELS]
    return ranks_of(came, refit.batch.peak[1 : len(after) + 1, rows, job.steps - 1])


def only_at(refit: Refit, levels: tuple[float, ...]) -> Refit:
    """The forecasts at these levels alone, which are among theirs: what travels to another process is kept small."""
    batch = refit.batch
    rows = [batch.levels.index(level) for level in levels]
    return replace(refit, batch=replace(batch, levels=levels, values=batch.values[:, rows], peak=batch.peak[:, rows]))


def peaks_at(
    study: Study, fits: Sequence[Fitted], *, quantile: float | None, looked_back_on: int, highest: FloatArray
) -> Peaks:
    """The forecasts as they would have been served.

    Args:
        study: What is replayed.
        fits: What came of the fits, in the order of time.
        quantile: The level promised; None: what was chosen with each fit.
        looked_back_on: See `scaler.replay.forecasts.read_peaks`.
        highest: See `Peaks`.
    """
    used = [(fitted, fitted.refit) for fitted in fits if fitted.refit is not None]
    tested = [(refit, fitted.ranks) for fitted, refit in used]
    promised = [DEFAULT_LEVEL if fitted.chosen is None else fitted.chosen for fitted, _ in used]
    quantiles = promised if quantile is None else [quantile] * len(used)
    return Peaks(
        forecaster=" or ".join(dict.fromkeys(fitted.forecaster for fitted, _ in used)),
        quantile=quantile,
        values=read_peaks(
            study.series,
            tested,
            quantiles=quantiles,
            steps=horizon(window=study.decision.window, step=study.series.step, forecast_max_age=0.0),
            looked_back_on=looked_back_on,
        ),
        highest=highest,
        levels=levels_in_force(study.series, tested, quantiles=quantiles),
    )


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
    """What came of a RunJob.

    Attributes:
        setting: What was run.
        point: Its figures.
        quantile: The setting's; of a chosen one the mean over the replay; None without a forecast.
        served: If the run was wanted whole.
        outcome: Likewise.
    """

    setting: Setting
    point: Point
    quantile: float | None = None
    served: Served | None = None
    outcome: Outcome | None = None


def run_setting(job: RunJob) -> Run:
    """Replays one setting."""
    setting = job.setting
    peaks = {} if job.peaks is None else {setting.quantile: job.peaks}
    served, outcome = job.study.run(setting, peaks)
    point = Point.of(outcome, policy=setting.policy, headroom=setting.headroom, quantile=setting.quantile)
    quantile = setting.quantile if job.peaks is None else job.peaks.mean_level
    return Run(setting, point, quantile, served, outcome) if job.whole else Run(setting, point, quantile)
