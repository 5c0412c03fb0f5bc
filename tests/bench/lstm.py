"""The recurrent network on a folder of traces, one of them left out at a time: `make bench-lstm TRACES=...`.

    python -m tests.bench.lstm TRACES --networks DIR --train            trains what is missing
    python -m tests.bench.lstm TRACES --networks DIR --cold             with 24 hours of history
    python -m tests.bench.lstm TRACES --networks DIR --full             with all that came before

Protocol: --cold takes 24 hours, fits, and forecasts the next 24 from every origin (`--stride`), from so many places of
the last 40 % of each trace (`--places`). --full is that of tests.bench.forecast: the first 60 % is training, the next
40 %, 8 days at most, test, refits from the past only. What is trained across series has not seen the trace judged.
Ratios are of pinball losses, geometric means over traces.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import ForecastError
from forecasting.evaluation import evaluate, rolling_forecasts
from forecasting.fleet import FleetModel, remember_fleet
from forecasting.models.boosted import Boosted
from forecasting.models.lstm import Lstm
from forecasting.network import NETWORKS, Network
from forecasting.registry import default_registry
from forecasting.selection import Auto
from forecasting.training.corpus import Corpus, Recipe, Shown, generated, real
from forecasting.training.descent import Course, Descent
from forecasting.training.examples import Examples
from scaler.training.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from tests.bench.forecast import HISTORY_DAYS, geometric, read_folder, split, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forecasting.evaluation import Evaluation
    from forecasting.forecaster import Forecaster
    from forecasting.series import TimeSeries

LEVELS = (0.5, 0.9, 0.95)
MINUTES = (15, 60)
DAY = 86400
PARTS, FIELDS = ("train", "validate"), fields(Examples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", type=Path, required=True, help="folder of the networks, TRACE.bin each")
    parser.add_argument("--fleets", type=Path, help="folder of fleet models, as tests.bench.forecast keeps them")
    parser.add_argument("--traces", default="", help="names, separated by commas; all by default")
    parser.add_argument("--methods", default="naive,seasonal-naive,ets,arima,lstm")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--stride", type=int, default=600, help="seconds between origins")
    parser.add_argument("--places", type=int, default=4)
    parser.add_argument("--refit-every", type=int, default=2 * DAY)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--origins", type=int, default=2000, help="examples of each trace")
    parser.add_argument("--generated", type=int, default=300, help="generated series beside the traces")
    arguments = parser.parse_args()
    traces = dict(read_folder(arguments.folder))
    judged = [name for name in arguments.traces.split(",") if name] or list(traces)
    if arguments.train:
        train(judged, traces, arguments)
    for wanted, judge in (("cold", cold), ("full", full)):
        if getattr(arguments, wanted):
            report(wanted, judged, arguments.methods.split(","), partial(judge, traces=traces, arguments=arguments))


def train(judged: list[str], traces: dict[str, TimeSeries], arguments: argparse.Namespace) -> None:
    """For each trace a network that has not seen it, unless it is there already."""
    missing = [name for name in judged if not (arguments.networks / f"{name}.bin").exists()]
    if not missing:
        return
    began = time.process_time()
    recipe = Recipe(origins=arguments.origins, generated=arguments.generated, generated_origins=80)
    folder = arguments.networks / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    shown = {
        name: kept(folder / f"{name}.npz", partial(real, series, number, recipe))
        for number, (name, series) in enumerate(traces.items())
    }
    others = kept(folder / "generated.npz", partial(all_generated, recipe))
    print(f"examples after {time.process_time() - began:.0f} s CPU", flush=True)
    for left_out in missing:
        began = time.process_time()
        parts = [part for name, part in shown.items() if name != left_out]
        learned = Corpus.of([*parts, others], series=len(parts))
        course, checkpoint = Course(epochs=arguments.epochs), arguments.networks / f"{left_out}.checkpoint"
        of = fingerprint([], {"course": repr(course), "recipe": repr(recipe), "without": left_out})
        state = load_checkpoint(checkpoint, of=of)
        descent = Descent(learned.train, learned.validate, course=course, state=state)
        for now in descent.steps():
            if now.batches % descent.batches_an_epoch == 0:
                save_checkpoint(checkpoint, now, of=of)
        network = descent.network(series=learned.series, story=f"all traces but {left_out}")
        (arguments.networks / f"{left_out}.bin").write_bytes(network.to_bytes())
        checkpoint.unlink()
        losses = " ".join(f"{loss:.5f}" for loss in descent.state.losses)
        print(f"without {left_out}: {losses}, {time.process_time() - began:.0f} s CPU", flush=True)


def kept(path: Path, make: Callable[[], Shown]) -> Shown:
    """Examples from a file, so that thirteen trainings look at each trace once; made first where there is none."""
    if not path.exists():
        made = make()
        arrays = {
            f"{part}_{field.name}": getattr(getattr(made, part), field.name) for part in PARTS for field in FIELDS
        }
        np.savez(path, **arrays)
    with np.load(path, allow_pickle=False) as stored:
        return Shown(*(Examples(*(stored[f"{part}_{field.name}"] for field in FIELDS)) for part in PARTS))


def all_generated(recipe: Recipe) -> Shown:
    parts = [generated(number, recipe) for number in range(recipe.generated)]
    whole = Corpus.of(parts, series=0)
    return Shown(whole.train, whole.validate)


def made(method: str, name: str, arguments: argparse.Namespace) -> Forecaster:
    """The method; with the network, and the fleet model, that have not seen the trace."""
    network = NETWORKS.remember(Network.from_bytes((arguments.networks / f"{name}.bin").read_bytes()))
    if method in ("boosted", "auto") and arguments.fleets:
        fleet = FleetModel.from_bytes((arguments.fleets / f"{name}.bin").read_bytes())
        digest = remember_fleet(fleet)
        return Boosted(fleet=digest) if method == "boosted" else Auto(fleet=digest, network=network)
    return Lstm(weights=network) if method == "lstm" else default_registry().create(method)


def cold(name: str, method: str, *, traces: dict[str, TimeSeries], arguments: argparse.Namespace) -> dict[str, float]:
    """Mean pinball losses with 24 hours of history."""
    series, day = traces[name], DAY // traces[name].step
    first, last = int(0.6 * len(series)), len(series) - day
    scores = []
    for begin in np.linspace(max(first, day), last, arguments.places).astype(int):
        part = series.first(int(begin) + day).last(2 * day)
        scores.append(scored(part, made(method, name, arguments), part.start + (day - 1) * part.step, arguments))
    return {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}


def full(name: str, method: str, *, traces: dict[str, TimeSeries], arguments: argparse.Namespace) -> dict[str, float]:
    """Mean pinball losses with three weeks of history, or what there is."""
    train_end, part = split(traces[name])
    return scored(part, made(method, name, arguments), train_end, arguments)


def scored(part: TimeSeries, forecaster: Forecaster, train_end: int, arguments: argparse.Namespace) -> dict[str, float]:
    horizons = [steps(minutes, part.step) for minutes in MINUTES]
    refits = tuple(
        rolling_forecasts(
            part,
            forecaster,
            train_end=train_end,
            horizon=horizons[-1],
            levels=LEVELS,
            refit_every=arguments.refit_every,
            history=HISTORY_DAYS * DAY // part.step,
            stride=max(1, arguments.stride // part.step),
        )
    )
    found = evaluate(part, refits, horizons=horizons, levels=LEVELS, train_end=train_end)
    return dict(told(found, horizons))


def told(found: Evaluation, horizons: list[int]) -> Iterator[tuple[str, float]]:
    for minutes, horizon in zip(MINUTES, horizons, strict=True):
        for level in LEVELS:
            yield f"value {minutes} {level}", found.values[horizon].pinball[level]
            yield f"covered {minutes} {level}", found.values[horizon].coverage[level]
            yield f"peak {minutes} {level}", found.peaks[horizon].pinball[level]


def report(title: str, judged: list[str], methods: list[str], judge: partial[dict[str, float]]) -> None:
    """A line for each trace as it comes, then the table."""
    found: dict[str, dict[str, dict[str, float]]] = {method: {} for method in methods}
    for name in judged:
        for method in methods:
            began = time.process_time()
            try:
                found[method][name] = judge(name, method)
            except ForecastError as error:
                print(f"{name} {method}: {error}", flush=True)
                continue
            line = " ".join(
                f"{found[method][name][f'value {m} {q}'] / found['naive'][name][f'value {m} {q}']:.3f}"
                for m in MINUTES for q in LEVELS
            )  # fmt: skip
            print(f"{title} {name:18} {method:15} {line}  {time.process_time() - began:.0f} s", flush=True)
    print(f"\n{title}: pinball loss against naive, geometric mean over {len(judged)} traces; median coverage\n")
    print(
        "| method | "
        + " | ".join(f"{k} {m} min: {' / '.join(map(str, LEVELS))}" for k in ("value", "peak") for m in MINUTES)
        + " | traces |"
    )
    print("|---|" + "---|" * (2 * len(MINUTES) + 1))
    for method in methods:
        cells = []
        for kind in ("value", "peak"):
            for minutes in MINUTES:
                ratios = [
                    geometric(
                        [
                            r[f"{kind} {minutes} {q}"] / found["naive"][n][f"{kind} {minutes} {q}"]
                            for n, r in found[method].items()
                        ]
                    )
                    for q in LEVELS
                ]
                cells.append(" ".join(f"{ratio:.3f}" for ratio in ratios))
        print(f"| {method} | " + " | ".join(cells) + f" | {len(found[method])} |")
    for method in (method for method in methods if found[method]):
        covered = {
            f"{m} {q}": float(np.median([r[f"covered {m} {q}"] for r in found[method].values()]))
            for m in MINUTES
            for q in LEVELS[1:]
        }
        print(f"coverage of {method}: " + ", ".join(f"{key} {value:.3f}" for key, value in covered.items()))
    if "lstm" in found:
        against(found)


def against(found: dict[str, dict[str, dict[str, float]]]) -> None:
    """The network's losses of values as shares of the others' on the same traces."""
    naives = [found[method] for method in ("naive", "seasonal-naive") if method in found]
    better = {name: {key: min(one[name][key] for one in naives) for key in found["lstm"][name]} for name in naives[0]}
    for method, other in {**found, "the better of the naives": better}.items():
        if method == "lstm" or not other:  # none: too little history on every trace
            continue
        cells = []
        for minutes in MINUTES:
            for q in LEVELS[1:]:
                key = f"value {minutes} {q}"
                ratios = [found["lstm"][name][key] / losses[key] for name, losses in other.items()]
                cells.append(f"{minutes} {q} {geometric(ratios):.3f} ({np.median(ratios):.3f})")
        print(f"lstm against {method}, mean (median trace) of {len(other)}: " + ", ".join(cells))


if __name__ == "__main__":
    main()
