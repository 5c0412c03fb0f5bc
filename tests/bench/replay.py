"""How well Foresail scales, beside plain KEDA and the methods of its rivals: `make bench-replay`.

Per trace and pod start-up time: the first part is for learning only, the last 40 % (8 days at most) are replayed at
60 s steps; a pod carries the `target_per_pod` of the manifest, a twelfth of the learning part's 99th percentile. A
policy is compared with plain KEDA *given the same pod-hours*, by interpolating plain KEDA's headroom sweep.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecasting.refits import fit_times
from scaler.cli.pool import Pool, cores
from scaler.cli.replay.arguments import read_behavior
from scaler.cli.replay.jobs import FitJob, fit
from scaler.decision import DecisionPolicy, horizon
from scaler.engine.ladder import STAND_INS
from scaler.engine.state import BANDS
from scaler.replay.compare import HEADROOMS, Point, shed_at_cost
from scaler.replay.forecasts import highest_so_far, peaks_of
from scaler.replay.policies import Peaks
from scaler.replay.simulator import Workload
from scaler.replay.study import Setting, Study, held_at
from scaler.sources.csv import read_csv
from scaler.trigger.parse import SCHEMA
from tests.bench.peers import crane_like, perfect, phpa_like

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forecasting.series import FloatArray, TimeSeries

STEP = 60
DAY = 86400
LEFT_OUT = "ec2_net_batch"  # its coarse steps flatter
SMOOTH = ("azure_vm_v2", "wc98_pretournament", "llm_m_small")
NOTABLE = 0.001  # where an HPA at 80 % target sheds less there is nothing to gain
OURS = "foresail"

PEERS: dict[str, tuple[Callable[..., FloatArray], float]] = {
    "Holt-Winters or observed (PHPA-like)": (phpa_like, 1.0),
    "the same, 1.2 x observed": (phpa_like, 1.2),
    "FFT or observed (Crane-like)": (crane_like, 1.0),
    "the same,  1.2 x observed": (crane_like, 1.2),
    "a perfect forecast": (perfect, 1.2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One trace at one start-up time."""

    path: Path
    target: float
    startup: float
    behavior: str
    forecaster: str
    quantile: float
    headroom: float
    refit_every: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Figures of one trace at one start-up time."""

    name: str
    startup: float
    plain: list[Point]
    points: dict[str, Point]
    days: float
    fit_seconds: float
    used: tuple[str, ...]

    def plain_at(self, headroom: float) -> Point:
        return next(point for point in self.plain if point.headroom == headroom)

    def ratio(self, policy: str) -> float | None:
        """Shed against plain KEDA's at the same pod-hours; None where plain KEDA cannot cost that."""
        point = self.points[policy]
        plain = shed_at_cost(self.plain, point.cost_ratio)
        return None if not plain else point.under_provisioned_load / plain


def replay_trace(task: Task) -> Result:
    """All policies on one trace."""
    series = held_at(read_csv(task.path), STEP)
    days = min(0.4 * len(series), 8 * DAY / STEP)
    first = len(series) - int(days)
    decision = DecisionPolicy(
        threshold=task.target,
        lead_time=task.startup,
        headroom=task.headroom,
        max_factor=SCHEMA.defaults["max_factor"],
    )
    study = Study(
        series=series,
        start=series.start + first * STEP,
        workload=Workload(target=task.target, pod_startup=(task.startup,), behavior=read_behavior(task.behavior)),
        decision=decision,
    )
    started = time.process_time()
    peaks, used = _ours(task, series, first, decision)
    fit_seconds = time.process_time() - started
    points = {
        OURS: _point(study, Setting("foresail", task.headroom, task.quantile), peaks),
        "offset": _point(study, Setting("offset", 1.0)),
    }
    steps = math.ceil((decision.window + STEP) / STEP)
    for label, (method, headroom) in PEERS.items():
        forecast = Peaks(
            forecaster=label,
            quantile=0.5,
            values=method(series, first=first - 1, horizon=steps),
            highest=np.full(len(series), 1e12),  # no cap
            gated=False,
        )
        points[label] = _point(study, Setting("foresail", headroom, 0.5), forecast)
    plain = [_point(study, Setting("reactive", headroom)) for headroom in HEADROOMS]
    return Result(
        name=task.path.stem,
        startup=task.startup,
        plain=plain,
        points=points,
        days=(len(series) - first) * STEP / DAY,
        fit_seconds=fit_seconds,
        used=used,
    )


def _ours(task: Task, series: TimeSeries, first: int, decision: DecisionPolicy) -> tuple[Peaks, tuple[str, ...]]:
    times = tuple(fit_times(series, train_end=series.start + (first - 1) * STEP, refit_every=task.refit_every))
    steps = horizon(window=decision.window, step=STEP, forecast_max_age=decision.forecast_max_age)
    levels = tuple(sorted({*BANDS, task.quantile}))
    fits = [
        fit(
            FitJob(
                series=series,
                ladder=(task.forecaster, *STAND_INS),
                parameters={},
                times=times,
                position=position,
                horizon=steps,
                levels=levels,
                history=int(SCHEMA.defaults["history_window"]) // STEP,
            )
        )
        for position in range(len(times))
    ]
    refits = [fitted.refit for fitted in fits if fitted.refit is not None]
    values = peaks_of(series, refits, horizon=steps, levels=len(levels))
    peaks = Peaks(
        forecaster=task.forecaster,
        quantile=task.quantile,
        values=values[levels.index(task.quantile)],
        highest=highest_so_far(series, window=int(SCHEMA.defaults["history_window"])),
    )
    return peaks, tuple(dict.fromkeys(fitted.forecaster for fitted in fits))


def _point(study: Study, setting: Setting, peaks: Peaks | None = None) -> Point:
    _, outcome = study.run(setting, {} if peaks is None else {peaks.quantile: peaks})
    return Point.of(outcome, policy=setting.policy, headroom=setting.headroom, quantile=setting.quantile)


# --- what is printed ---------------------------------------------------------------------------


def per_trace(results: Sequence[Result]) -> None:
    print(
        "\n| trace | start-up | HPA at 80 %: cost, shed % | ours: cost, shed % | plain KEDA at our cost, shed % "
        "| ratio | events a day: ours, plain 1.5 |"
    )
    print("|---|---|---|---|---|---|---|")
    for result in results:
        hpa, ours = result.plain_at(1.25), result.points[OURS]
        plain = shed_at_cost(result.plain, ours.cost_ratio)
        ratio = result.ratio(OURS)
        days = result.days
        print(
            f"| {result.name} | {result.startup:g} s | {hpa.cost_ratio:.2f}, {100 * hpa.under_provisioned_load:.3f} "
            f"| {ours.cost_ratio:.2f}, {100 * ours.under_provisioned_load:.3f} "
            f"| {'' if plain is None else f'{100 * plain:.3f}'} | {'' if ratio is None else f'{ratio:.2f}'} "
            f"| {ours.scale_events / days:.0f}, {result.plain_at(1.5).scale_events / days:.0f} |"
        )


def overall(results: Sequence[Result], startups: Sequence[float]) -> None:
    """Geometric means over the traces where there is something to gain."""
    heads = [f"{startup:g} s: ratio, worst, over 1.05, mean cost, events" for startup in startups]
    print(f"\n| policy | {' | '.join(heads)} |")
    print("|---" * (len(startups) + 1) + "|")
    for policy in results[0].points:
        cells = [_cell([r for r in results if r.startup == startup], policy) for startup in startups]
        print(f"| {policy} | {' | '.join(cells)} |")


def _cell(results: Sequence[Result], policy: str) -> str:
    counted = [
        result
        for result in results
        if result.name != LEFT_OUT and result.plain_at(1.25).under_provisioned_load >= NOTABLE
    ]
    ratios = [ratio for result in counted if (ratio := result.ratio(policy)) is not None]
    unknown = len(counted) - len(ratios)
    if not ratios:
        return "dearer than any headroom swept"
    mean = math.exp(sum(math.log(max(ratio, 1e-4)) for ratio in ratios) / len(ratios))
    cost = sum(result.points[policy].cost_ratio for result in counted) / len(counted)
    events = sum(result.points[policy].scale_events for result in counted)
    plain = sum(result.plain_at(1.5).scale_events for result in counted)
    worse = sum(ratio > 1.05 for ratio in ratios)
    dear = f", {unknown} too dear" if unknown else ""
    return f"**{mean:.3f}** of {len(ratios)}, {max(ratios):.2f}, {worse}{dear}, {cost:.2f}, {events / plain:.2f}"


def smooth(results: Sequence[Result]) -> None:
    print("\n| smooth trace | start-up | HPA at 80 %: cost, shed % | ours: cost, shed % |")
    print("|---|---|---|---|")
    for result in results:
        if result.name in SMOOTH:
            hpa, ours = result.plain_at(1.25), result.points[OURS]
            print(
                f"| {result.name} | {result.startup:g} s "
                f"| {hpa.cost_ratio:.3f}, {100 * hpa.under_provisioned_load:.3f} "
                f"| {ours.cost_ratio:.3f}, {100 * ours.under_provisioned_load:.3f} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, required=True, help="a folder with MANIFEST.csv and the traces")
    parser.add_argument("--only", default="", help="names of traces, with commas")
    parser.add_argument("--startups", default="60,180,300", help="seconds, with commas")
    parser.add_argument("--behavior", default="none", help="none, default or a file")
    parser.add_argument("--forecaster", default=SCHEMA.defaults["forecaster"])
    parser.add_argument("--quantile", type=float, default=SCHEMA.defaults["quantile"])
    parser.add_argument("--headroom", type=float, default=SCHEMA.defaults["headroom"])
    parser.add_argument("--refit-every", type=int, default=DAY)
    parser.add_argument("--jobs", type=int, default=cores())
    arguments = parser.parse_args()
    startups = [float(startup) for startup in arguments.startups.split(",")]
    only = set(filter(None, arguments.only.split(",")))
    with (arguments.traces / "MANIFEST.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not only or row["name"] in only]
    tasks = [
        Task(
            path=arguments.traces / f"{row['name']}.csv",
            target=float(row["target_per_pod"]),
            startup=startup,
            behavior=arguments.behavior,
            forecaster=arguments.forecaster,
            quantile=arguments.quantile,
            headroom=arguments.headroom,
            refit_every=arguments.refit_every,
        )
        for startup in startups
        for row in rows
    ]
    started = time.perf_counter()
    with Pool(arguments.jobs) as pool:
        results = pool.map(replay_trace, tasks, doing="replaying traces")
    print(
        f"forecaster {arguments.forecaster}, quantile {arguments.quantile:g}, headroom {arguments.headroom:g}, "
        f"behavior {arguments.behavior}; {len(results)} replays in {time.perf_counter() - started:.0f} s on "
        f"{arguments.jobs} cores, forecasts {sum(result.fit_seconds for result in results):.0f} s of CPU; used: "
        f"{', '.join(dict.fromkeys(name for result in results for name in result.used))}"
    )
    per_trace(results)
    overall(results, startups)
    smooth(results)


if __name__ == "__main__":
    main()
