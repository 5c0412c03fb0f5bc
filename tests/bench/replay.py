"""How well Foresail scales, beside plain KEDA and the methods of its rivals: `make bench-replay`.

Per trace and pod start-up time: the first part is for learning only, the last 40 % (8 days at most) are replayed at
60 s steps; a pod carries the `target_per_pod` of the manifest, a twelfth of the learning part's 99th percentile. A
policy is compared with plain KEDA *given the same pod-hours*, by interpolating plain KEDA's headroom sweep. What ships
trained across series was trained on generated ones and has seen none of the traces.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from forecasting.premium import highest_level
from forecasting.refits import fit_times
from scaler.cli.pool import Pool, cores
from scaler.cli.replay.arguments import read_behavior
from scaler.cli.replay.jobs import FitJob, Fitted, peaks_at
from scaler.decision import DecisionPolicy, horizon
from scaler.decision.lead_time import TIMING_MARGIN
from scaler.engine.alignment import lives_tested, longest_period
from scaler.engine.ladder import STAND_INS
from scaler.replay.compare import HEADROOMS, Point
from scaler.replay.forecasts import highest_so_far
from scaler.replay.policies import Peaks
from scaler.replay.simulator import Workload
from scaler.replay.study import Setting, Study, held_at
from scaler.sources.csv import read_csv
from scaler.trigger.parse import SCHEMA
from tests.bench import replay_fits
from tests.bench.peers import crane_like, perfect, phpa_like
from tests.bench.replay_tables import OURS, Result, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forecasting.series import FloatArray, TimeSeries

STEP = 60
DAY = 86400

PEERS: dict[str, tuple[Callable[..., FloatArray], float]] = {
    "Holt-Winters or observed (PHPA-like)": (phpa_like, 1.0),
    "the same, 1.2 x observed": (phpa_like, 1.2),
    "FFT or observed (Crane-like)": (crane_like, 1.0),
    "the same,  1.2 x observed": (crane_like, 1.2),
    "a perfect forecast": (perfect, 1.2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One trace at some start-up times, each behind one HPA after the other."""

    path: Path
    target: float
    startups: tuple[float, ...]
    behaviors: tuple[str, ...]
    forecaster: str
    quantile: float | None
    premium: float
    headroom: float
    margin: float
    metric_delay: int
    refit_every: int
    kept: Path | None
    forecasts: Path | None

    def kept_at(self, startup: float) -> Path | None:
        return self.kept and self.kept / f"{self.path.stem}-{startup:g}.json"


def replay_trace(task: Task) -> list[Result]:
    """All policies on one trace; from what an earlier run kept, if it is there."""
    series = held_at(read_csv(task.path), STEP)
    first = len(series) - int(min(0.4 * len(series), 8 * DAY / STEP))
    out: list[Result] = []
    forecasts: list[replay_fits.Kept] = []
    for startup in task.startups:
        kept = task.kept_at(startup)
        if kept and kept.exists():
            out += msgspec.json.decode(kept.read_bytes(), type=list[Result])
            continue
        started = time.process_time()
        forecasts = forecasts or _forecasts(task, series, first)
        fit_seconds = time.process_time() - started
        jobs = _jobs(task, series, first, _study(task, series, first, "none", startup, margin=task.margin).decision)
        fits = [one.under(job) for one, job in zip(forecasts, jobs, strict=True)]
        results = list(_results(task, series, first, startup, fits, fit_seconds=fit_seconds))
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(msgspec.json.encode(results))
        out += results
    return out


def _forecasts(task: Task, series: TimeSeries, first: int) -> list[replay_fits.Kept]:
    """From what an earlier run kept, if it is there: whatever is made of forecasts can be judged without fitting."""
    longest = _study(task, series, first, "none", max(task.startups), margin=task.margin).decision
    with contextlib.ExitStack() as stack:
        folder = task.forecasts or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        jobs = _jobs(task, series, first, longest)
        path = folder / f"{task.path.stem}-{jobs[0].horizon}.npz"
        if not path.exists():
            replay_fits.save(path, replay_fits.fit_all(jobs))
        return replay_fits.load(path, step=STEP)


def _jobs(task: Task, series: TimeSeries, first: int, policy: DecisionPolicy) -> list[FitJob]:
    times = tuple(fit_times(series, train_end=series.start + (first - 1) * STEP, refit_every=task.refit_every))
    max_age = policy.forecast_max_age + task.metric_delay
    return [
        FitJob(
            series=series,
            ladder=(task.forecaster, *STAND_INS),
            parameters={},
            times=times,
            position=position,
            horizon=horizon(window=policy.window, step=STEP, forecast_max_age=max_age),
            levels=replay_fits.LEVELS,
            history=int(SCHEMA.defaults["history_window"]) // STEP,
            steps=horizon(window=policy.window, step=STEP, forecast_max_age=0.0),
            premium=task.premium if task.quantile is None else None,
            highest=highest_level(policy.lead_time),
        )
        for position in range(len(times))
    ]


def _results(
    task: Task, series: TimeSeries, first: int, startup: float, fits: list[Fitted], *, fit_seconds: float
) -> Iterator[Result]:
    studies = [_study(task, series, first, name, startup, margin=task.margin) for name in task.behaviors]
    window = int(SCHEMA.defaults["history_window"])
    longest = longest_period(refit_every=task.refit_every, window=window // STEP, step=STEP)
    ours = peaks_at(
        studies[0],
        fits,
        quantile=task.quantile,
        looked_back_on=lives_tested(longest=longest, step=STEP),
        highest=highest_so_far(series, window=window),
    )
    for behavior, study in zip(task.behaviors, studies, strict=True):
        points = {OURS: _point(study, Setting("foresail", task.headroom, task.quantile), ours)}
        plain: list[Point] = []
        if study is studies[0]:  # plain KEDA and the others stand behind the first one
            plain, others = _others(task, series, first, startup)
            points.update(others)
        yield Result(
            name=task.path.stem,
            startup=startup,
            behavior=behavior,
            plain=plain,
            points=points,
            days=(len(series) - first) * STEP / DAY,
            fit_seconds=fit_seconds,
            used=tuple(dict.fromkeys(fitted.forecaster for fitted in fits)),
            level=ours.mean_level,
        )


def _others(task: Task, series: TimeSeries, first: int, startup: float) -> tuple[list[Point], dict[str, Point]]:
    """Plain KEDA's sweep, and the methods of others, which look as far ahead as pods take."""
    study = _study(task, series, first, task.behaviors[0], startup, margin=0.0)
    steps = horizon(window=study.decision.window, step=STEP, forecast_max_age=STEP)
    points = {"offset": _point(study, Setting("offset", 1.0))}
    for label, (method, headroom) in PEERS.items():
        peaks = Peaks(
            forecaster=label,
            quantile=0.5,
            values=method(series, first=first - 1, horizon=steps),
            highest=np.full(len(series), 1e12),  # no cap
            gated=False,
        )
        points[label] = _point(study, Setting("foresail", headroom, 0.5), peaks)
    return [_point(study, Setting("reactive", headroom)) for headroom in HEADROOMS], points


def _study(task: Task, series: TimeSeries, first: int, behavior: str, startup: float, *, margin: float) -> Study:
    return Study(
        series=series,
        start=series.start + first * STEP,
        workload=Workload(target=task.target, pod_startup=(startup,), behavior=read_behavior(behavior)),
        decision=DecisionPolicy(
            threshold=task.target,
            lead_time=startup,
            timing_margin=margin,
            headroom=task.headroom,
            max_factor=SCHEMA.defaults["max_factor"],
        ),
        metric_delay=task.metric_delay,
    )


def _point(study: Study, setting: Setting, peaks: Peaks | None = None) -> Point:
    _, outcome = study.run(setting, {} if peaks is None else {setting.quantile: peaks})
    return Point.of(outcome, policy=setting.policy, headroom=setting.headroom, quantile=setting.quantile)


def main() -> None:
    defaults = SCHEMA.defaults
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, required=True, help="a folder with MANIFEST.csv and the traces")
    parser.add_argument("--only", default="", help="names of traces, with commas")
    parser.add_argument("--startups", default="60,180,300", help="seconds, with commas")
    parser.add_argument("--behaviors", default="none,recommended", help="none, default, recommended or files")
    parser.add_argument("--forecaster", default=defaults["forecaster"])
    parser.add_argument("--quantile", type=float, default=defaults["quantile"], help="chosen by the premium by default")
    parser.add_argument("--premium", type=float, default=defaults["premium"])
    parser.add_argument("--headroom", type=float, default=defaults["headroom"])
    parser.add_argument("--timing-margin", type=float, default=TIMING_MARGIN)
    parser.add_argument("--metric-delay", type=int, default=0)
    parser.add_argument("--refit-every", type=int, default=DAY)
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--keep", type=Path, help="keep results here, and go on from those that are there")
    parser.add_argument("--forecasts", type=Path, help="likewise the forecasts, so that policies can be judged at once")
    arguments = parser.parse_args()
    startups = [float(startup) for startup in arguments.startups.split(",")]
    only = set(filter(None, arguments.only.split(",")))
    with (arguments.traces / "MANIFEST.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tasks = [
        Task(
            path=arguments.traces / f"{row['name']}.csv",
            target=float(row["target_per_pod"]),
            startups=tuple(startups),
            behaviors=tuple(arguments.behaviors.split(",")),
            forecaster=arguments.forecaster,
            quantile=arguments.quantile,
            premium=arguments.premium,
            headroom=arguments.headroom,
            margin=arguments.timing_margin,
            metric_delay=arguments.metric_delay,
            refit_every=arguments.refit_every,
            kept=arguments.keep,
            forecasts=arguments.forecasts,
        )
        for row in rows
        if not only or row["name"] in only
    ]
    started = time.perf_counter()
    with Pool(arguments.jobs) as pool:
        results = [result for found in pool.map(replay_trace, tasks, doing="replaying traces") for result in found]
    level = "chosen by a premium of " + f"{arguments.premium:g}" if arguments.quantile is None else arguments.quantile
    print(
        f"forecaster {arguments.forecaster}, quantile {level}, headroom {arguments.headroom:g}, timing margin "
        f"{arguments.timing_margin:g} s; {len(results)} replays in {time.perf_counter() - started:.0f} s on "
        f"{arguments.jobs} cores; used: {', '.join(dict.fromkeys(name for result in results for name in result.used))}"
    )
    tables(results, startups, arguments.behaviors.split(","))


if __name__ == "__main__":
    main()
