"""Forecast accuracy, coverage and cost on a folder of traces: `make bench-forecast TRACES=...`.

Protocol: the first 60 % of each trace is training, the next 40 %, 8 days at most, is test; refits daily from the past
only; every ratio is against `naive` with its conformal bands in the same run, geometric mean over traces; those of
values against the last value with bands proportional to it, too (`tests.bench.yardstick`). What is trained across
series has seen none of the traces: the shipped fleet model is trained on generated series only, and `--networks`
takes the networks that `make bench-lstm` trains, each for the traces left out. Times are CPU seconds.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import gzip
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from forecasting.calibration import future, running_maximum
from forecasting.evaluation import Evaluation, Refit, evaluate, pinball_loss, rolling_forecasts
from forecasting.network import NETWORKS, Network
from forecasting.registry import default_registry, fitting
from forecasting.serialise import dumps
from forecasting.series import TimeSeries
from tests.bench.as_read import LEVELS_READ, QUANTILES, AsRead, as_read
from tests.bench.boosted_baseline import BASELINES
from tests.bench.ties import shared_coverage
from tests.bench.yardstick import SHARE, proportional_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from forecasting.forecaster import Forecaster

LEVELS = (0.5, 0.9, 0.95, 0.99)
VALUE_MINUTES = (5, 15, 60)
PEAK_MINUTES = (3, 5, 10)
DAY = 86400
HISTORY_DAYS = 21
COST_POINTS = 10_080
STRIDE = 420  # seconds: no whole part of an hour, or all origins were on the marks at which scheduled work begins
COLD = ("naive", "boosted", "lstm", "auto")  # what is there on the first day
NETWORKED = {"lstm": "weights", "auto": "network"}  # which parameter names the recurrent network


@dataclass(frozen=True)
class Result:
    """What one method did on one trace."""

    evaluation: Evaluation
    maximised: dict[int, dict[float, float]]
    proportional: dict[int, dict[float, float]]
    as_read: dict[tuple[int, float], AsRead]
    shared: dict[tuple[int, float], float]
    said: str
    young: float
    fit_seconds: float
    predict_ms: float
    stored: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="CSV files (.csv or .csv.gz) with the columns timestamp,value")
    parser.add_argument("--traces", default="", help="names, separated by commas; all by default")
    parser.add_argument("--methods", default="seasonal-naive,seasonal-profile,ets,arima,theta,boosted,auto")
    parser.add_argument("--stride", type=int, default=STRIDE, help="seconds between origins")
    parser.add_argument("--refit-every", type=int, default=DAY, help="seconds between fits")
    parser.add_argument(
        "--networks",
        type=Path,
        help="folder of networks for lstm and auto, TRACE.bin each, that have not seen the trace",
    )
    parser.add_argument(
        "--keep", type=Path, help="folder of what was found, by trace and method: to go on where it ended"
    )
    parser.add_argument("--processes", type=int, default=1, help="traces judged at the same time")
    arguments = parser.parse_args()
    wanted = [name for name in arguments.traces.split(",") if name]
    traces = dict(read_folder(arguments.folder))
    judged = wanted or list(traces)
    methods = ["naive", *arguments.methods.split(",")]
    results: dict[str, dict[str, Result]] = {method: {} for method in methods}
    with ProcessPoolExecutor(arguments.processes) as pool:
        all_of = partial(on_trace, traces=traces, methods=methods, arguments=arguments)
        for name, found in zip(judged, pool.map(all_of, judged), strict=True):
            for method, result in found.items():
                results[method][name] = result
    report(results, {name: traces[name].step for name in judged})


def on_trace(
    name: str, *, traces: dict[str, TimeSeries], methods: Sequence[str], arguments: argparse.Namespace
) -> dict[str, Result]:
    """All methods on one trace."""
    out = {}
    series = traces[name]
    for method in methods:
        forecaster = fitting(made(method, name, arguments.networks), series)  # as the server fits it
        out[method] = found = kept(arguments, f"{name}-{method}", partial(judge, series, forecaster))
        score = found.evaluation
        h15, p5 = steps(15, series.step), steps(5, series.step)
        print(
            f"{name:18} {method:16} value 15 min 0.9: {score.values[h15].pinball[0.9]:12.4f}  "
            f"peak 5 min 0.9: {score.peaks[p5].pinball[0.9]:12.4f} covered {score.peaks[p5].coverage[0.9]:.3f}  "
            f"{found.said}",
            flush=True,
        )
    return out


def kept(arguments: argparse.Namespace, what: str, judged: Callable[[int, int], Result]) -> Result:
    """What was found before, with the same strides, if `--keep` says where; else what is found now."""
    if arguments.keep is None:
        return judged(arguments.stride, arguments.refit_every)
    path = arguments.keep / f"{what}-{arguments.stride}-{arguments.refit_every}.msgpack"
    if path.exists():
        return msgspec.msgpack.decode(path.read_bytes(), type=Result)
    found = judged(arguments.stride, arguments.refit_every)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.msgpack.encode(found))
    return found


def made(method: str, trace: str, networks: Path | None) -> Forecaster:
    """The method; if it uses the recurrent network, with one that has not seen the trace, where there are such."""
    if method in BASELINES:
        return BASELINES[method]
    if networks is None or method not in NETWORKED:
        return default_registry().create(method)
    digest = NETWORKS.remember(Network.from_bytes((networks / f"{trace}.bin").read_bytes()))
    return default_registry().create(method, {NETWORKED[method]: digest})


def read_folder(folder: Path) -> Iterator[tuple[str, TimeSeries]]:
    """Traces by name; their step is the commonest distance of two samples."""
    for path in sorted([*folder.glob("*.csv"), *folder.glob("*.csv.gz")]):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = list(csv.reader(text.decode().splitlines()))
        if rows[0] != ["timestamp", "value"]:
            continue
        samples = [(moment(at), float(value) if value else float("nan")) for at, value in rows[1:]]
        step = int(np.median(np.diff([at for at, _ in samples])))
        yield path.name.split(".")[0], TimeSeries.from_samples(samples, step=step)


def moment(text: str) -> float:
    """Epoch seconds, written as such or in ISO 8601."""
    try:
        return float(text)
    except ValueError:
        return dt.datetime.fromisoformat(text).timestamp()


def steps(minutes: int, step: int) -> int:
    """So many minutes in steps, 1 at least."""
    return max(1, minutes * 60 // step)


def judge(series: TimeSeries, forecaster: Forecaster, stride: int, refit_every: int) -> Result:
    """Rolling origins over the test part."""
    train_end, part = split(series)
    refits = tuple(
        rolling_forecasts(
            part,
            forecaster,
            train_end=train_end,
            horizon=steps(max(VALUE_MINUTES), series.step),
            levels=sorted(LEVELS_READ.union(LEVELS)),
            refit_every=refit_every,
            history=HISTORY_DAYS * DAY // series.step,
            stride=max(1, stride // series.step),
            timer=time.process_time,
        )
    )
    horizons = sorted({steps(m, series.step) for m in (*VALUE_MINUTES, *PEAK_MINUTES)})
    scores = evaluate(part, refits, horizons=horizons, levels=LEVELS, train_end=train_end)
    last = refits[-1].fitted
    said = getattr(last, "explanation", "")
    cold = young(series, forecaster, stride) if forecaster.name in COLD else float("nan")
    history = HISTORY_DAYS * DAY // series.step
    other = proportional_losses(part, refits, horizons=horizons, levels=LEVELS, history=history)
    read = {
        (horizon, quantile): as_read(
            part,
            refits,
            horizon=horizon,
            quantile=quantile,
            stride=max(1, stride // series.step),
            refit_every=refit_every // series.step,
        )
        for horizon in {steps(m, series.step) for m in PEAK_MINUTES}
        for quantile in QUANTILES
    }
    shared = {(horizon, quantile): ties_shared(part, refits, horizon, quantile) for horizon, quantile in read}
    most = maximised(part, refits, horizons)
    return Result(scores, most, other, read, shared, said, cold, *cost(series, forecaster))


def split(series: TimeSeries) -> tuple[int, TimeSeries]:
    """When training ends, and the series up to the end of the test part."""
    first = int(0.6 * len(series))
    end = min(len(series), first + 8 * DAY // series.step)
    return series.start + (first - 1) * series.step, series.first(end)


def maximised(series: TimeSeries, refits: Sequence[Refit], horizons: Sequence[int]) -> dict[int, dict[float, float]]:
    """Pinball losses of the peak if the largest of the values' quantiles up to the horizon were served for it."""
    at = np.array(horizons) - 1
    losses = []
    for refit in refits:
        came = running_maximum(future(series.values, refit.positions, refit.batch.horizon))[:, at]
        wanted = [refit.batch.levels.index(level) for level in LEVELS]
        highest = np.maximum.accumulate(refit.batch.values[:, wanted], axis=2)[:, :, at]
        losses.append(pinball_loss(came[:, None, :], highest, np.array(LEVELS)[None, :, None]))
    mean = np.nanmean(np.concatenate(losses), axis=0)
    return {h: {level: float(mean[i, j]) for i, level in enumerate(LEVELS)} for j, h in enumerate(horizons)}


def ties_shared(series: TimeSeries, refits: Sequence[Refit], horizon: int, quantile: float) -> float:
    """Coverage of the peak over so many steps, outcomes that equal their forecasts shared out over the levels."""
    shares = [
        shared_coverage(
            running_maximum(future(series.values, refit.positions, horizon))[:, -1],
            refit.batch.peak[:, :, horizon - 1],
            refit.batch.levels,
            quantile,
        )
        for refit in refits
    ]
    return float(np.nanmean(np.concatenate(shares)))


def young(series: TimeSeries, forecaster: Forecaster, stride: int) -> float:
    """Mean pinball loss of the 0.9-quantile of the 5-minute peak, after 26 hours of history and no more, 4 times."""
    horizon, age, day = steps(5, series.step), 26 * 3600 // series.step, DAY // series.step
    first, (_, part) = int(0.6 * len(series)), split(series)
    total = []
    for begin in range(first, len(part) - 6 * 3600 // series.step, max(day, (len(part) - first) // 4)):
        fitted = forecaster.fit(part.first(begin).last(age), horizon=steps(10, series.step), levels=LEVELS)
        for origin in range(begin - 1, min(len(part), begin + day) - horizon, max(1, stride // series.step)):
            seen = part.first(origin + 1).last(age + origin + 1 - begin)
            forecast = fitted.predict(seen, horizon=horizon, levels=(0.9,))
            came = np.nanmax(part.values[origin + 1 : origin + 1 + horizon], keepdims=True)
            total.append(float(pinball_loss(came, forecast.peak[0, -1:], 0.9)[0]))
    return float(np.mean(total))


def cost(series: TimeSeries, forecaster: Forecaster) -> tuple[float, float, int]:
    """CPU seconds of a fit to 10,080 points, milliseconds of a forecast 10 minutes ahead, bytes stored."""
    history = series.last(COST_POINTS)
    began = time.process_time()
    fitted = forecaster.fit(history, horizon=steps(60, series.step), levels=LEVELS)
    fit = time.process_time() - began
    context = series.last(fitted.context_length)
    took = []
    for _ in range(20):
        began = time.process_time()
        fitted.predict(context, horizon=steps(10, series.step), levels=(0.9,))
        took.append(time.process_time() - began)
    return fit, 1000 * float(np.median(took)), len(dumps(fitted))


def geometric(ratios: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else float("nan")


def report(results: dict[str, dict[str, Result]], step: dict[str, int]) -> None:
    """The tables of docs/benchmarks.md."""
    naive = results["naive"]
    print(f"\n{len(naive)} traces; pinball loss against naive, geometric mean (largest of a trace at 0.9)\n")
    print("| method | " + " | ".join(f"{m} min: 0.5 / 0.9 / 0.95 / 0.99" for m in VALUE_MINUTES) + " |")
    print("|---|" + "---|" * len(VALUE_MINUTES))
    for method, found in results.items():
        cells = [table_cell(found, naive, step, minutes, "values") for minutes in VALUE_MINUTES]
        print(f"| {method} | " + " | ".join(cells) + " |")
    report_other_yardstick(results, step)
    print("\npeaks: the same, and against the method's own per-horizon quantiles maximised, at 0.9\n")
    print("| method | " + " | ".join(f"{m} min: 0.5 / 0.9 / 0.95 / 0.99" for m in PEAK_MINUTES) + " | maximised = 1 |")
    print("|---|" + "---|" * (len(PEAK_MINUTES) + 1))
    for method, found in results.items():
        cells = [table_cell(found, naive, step, minutes, "peaks") for minutes in PEAK_MINUTES]
        against = [
            geometric([
                r.evaluation.peaks[steps(m, step[n])].pinball[0.9] / r.maximised[steps(m, step[n])][0.9]
                for n, r in found.items()
                if steps(m, step[n]) > 1  # the peak of one step is its value
            ])
            for m in PEAK_MINUTES
        ]  # fmt: skip
        print(f"| {method} | " + " | ".join(cells) + " | " + " / ".join(f"{a:.2f}" for a in against) + " |")
    report_coverage(results, step)
    print("\n26 hours of history: pinball loss of the 5-minute peak at 0.9 against naive\n")
    for method in COLD[1:]:
        ratios = [result.young / naive[name].young for name, result in results.get(method, {}).items()]
        print(f"- {method}: {geometric(ratios):.2f}, by trace {' '.join(f'{r:.2f}' for r in ratios)}")
    report_traces(results, step)
    print("\ncost, median over traces (most)\n")
    print(f"| method | fit of {COST_POINTS:,} points, CPU s | predict, ms | stored, KiB |\n|---|---|---|---|")
    for method, found in results.items():
        fit, predict, size = np.array([(r.fit_seconds, r.predict_ms, r.stored) for r in found.values()]).T
        print(
            f"| {method} | {np.median(fit):.2f} ({fit.max():.2f}) | {np.median(predict):.1f} ({predict.max():.1f}) | "
            f"{np.median(size) / 1024:.0f} ({size.max() / 1024:.0f}) |"
        )


def report_coverage(results: dict[str, dict[str, Result]], step: dict[str, int]) -> None:
    """How often peaks stayed below their quantiles, as forecast and as read."""
    print("\ncoverage of peaks: median over traces (least, most); ties shared: see `tests.bench.ties`\n")
    print("| method | " + " | ".join(f"{m} min: {level}" for m in PEAK_MINUTES for level in QUANTILES) + " |")
    print("|---|" + "---|" * len(QUANTILES) * len(PEAK_MINUTES))
    asked = [(minutes, level) for minutes in PEAK_MINUTES for level in QUANTILES]
    for method, found in results.items():
        rows: dict[str, list[str]] = {method: [], f"{method}, ties shared": [], f"{method}, as read": []}
        for minutes, level in asked:
            horizons = [(r, steps(minutes, step[n])) for n, r in found.items()]
            plain = [r.evaluation.peaks[h].coverage[level] for r, h in horizons]
            shared = [r.shared[h, level] for r, h in horizons]
            read = [r.as_read[h, level].coverage for r, h in horizons]
            for name, shares in zip(rows, (plain, shared, read), strict=True):
                rows[name].append(f"{np.median(shares):.3f} ({min(shares):.3f}, {max(shares):.3f})")
        for name, cells in rows.items():
            print(f"| {name} | " + " | ".join(cells) + " |")
    print("\npinball loss of peaks as read, that as forecast being 1, geometric mean (largest)\n")
    for method, found in results.items():
        losses = [[r.as_read[steps(m, step[n]), level].loss for n, r in found.items()] for m, level in asked]
        said = [
            f"{m} min {q}: {geometric(each):.3f} ({max(each):.2f})" for (m, q), each in zip(asked, losses, strict=True)
        ]
        print(f"- {method}: " + ", ".join(said))


def report_other_yardstick(results: dict[str, dict[str, Result]], step: dict[str, int]) -> None:
    """The same against the last value with bands proportional to it."""
    print(f"\nthe same against the last value with bands proportional to it (and to {SHARE:g} of the mean load)\n")
    print("| method | " + " | ".join(f"{m} min: 0.5 / 0.9 / 0.95 / 0.99" for m in VALUE_MINUTES) + " |")
    print("|---|" + "---|" * len(VALUE_MINUTES))
    for method, found in results.items():
        cells = []
        for minutes in VALUE_MINUTES:
            pairs = [
                (r.evaluation.values[h].pinball, r.proportional[h])
                for n, r in found.items()
                for h in [steps(minutes, step[n])]
            ]
            cells.append(
                " ".join(f"{geometric([mine[level] / other[level] for mine, other in pairs]):.2f}" for level in LEVELS)
            )
        print(f"| {method} | " + " | ".join(cells) + " |")


def report_traces(results: dict[str, dict[str, Result]], step: dict[str, int]) -> None:
    """Trace by trace, what the mean hides."""
    naive = results["naive"]
    print("\nby trace, at 0.9 against naive: values at 15 and 60 minutes, peaks over 3, 5 and 10\n")
    for method, found in results.items():
        if method not in ("boosted", "auto"):
            continue
        for name, result in found.items():
            cells = [
                getattr(result.evaluation, kind)[steps(m, step[name])].pinball[0.9]
                / getattr(naive[name].evaluation, kind)[steps(m, step[name])].pinball[0.9]
                for kind, minutes in (("values", (15, 60)), ("peaks", PEAK_MINUTES))
                for m in minutes
            ]
            print(f"| {method} | {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")


def table_cell(
    found: dict[str, Result], naive: dict[str, Result], step: dict[str, int], minutes: int, kind: str
) -> str:
    """Ratios of one method at one horizon."""
    cells = []
    worst = 0.0
    for level in LEVELS:
        ratios = []
        for name, result in found.items():
            horizon = steps(minutes, step[name])
            mine = getattr(result.evaluation, kind)[horizon].pinball[level]
            ratios.append(mine / getattr(naive[name].evaluation, kind)[horizon].pinball[level])
        cells.append(f"{geometric(ratios):.2f}")
        worst = max(ratios) if level == 0.9 else worst
    return f"{' '.join(cells)} ({worst:.2f})"


if __name__ == "__main__":
    main()
