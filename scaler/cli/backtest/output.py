"""What a backtest prints and writes."""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scaler.cli.arguments import writing
from scaler.cli.backtest.results import relative
from scaler.kinds import show_duration, show_number
from scaler.times import iso
from scaler.words import duration, number, plural

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from forecasting.evaluation import Score
    from scaler.cli.backtest.arguments import Plan
    from scaler.cli.backtest.results import Results

__all__ = ["loss", "percent", "print_json", "print_table", "ratio", "says_of_fits", "write_forecasts"]

_NOTABLE = 0.02  # of coverage: what a table marks
_FIGURES = ("loss", "/naive", "cover")
_HEADS = ("\nahead", "\nMASE", "\nlevel", *(f"{what}\n{head}" for what in ("value", "peak") for head in _FIGURES))
_LEGEND = (
    "loss: pinball loss; /naive: divided by that of repeating the last value; cover: how often what came was at or "
    "below the quantile"
)


def print_json(plan: Plan, results: Results) -> None:
    """The figures for machines; null where nothing could be judged."""
    document = {
        "series": plan.name,
        "step_s": plan.series.step,
        "forecaster": plan.forecaster,
        "train_end": plan.train_end,
        "horizons": {
            str(horizon): {"mase": _figure(one.mase), **_figures(one)} for horizon, one in results.value_scores.items()
        },
        "peaks": {str(horizon): _figures(one) for horizon, one in results.peak_scores.items()},
        "fit_seconds": list(results.fit_seconds),
        "predict_seconds": results.predict_seconds,
    }
    print(json.dumps(document))


def _figures(one: Score) -> dict[str, object]:
    return {"pinball": _by_level(one.pinball), "coverage": _by_level(one.coverage), "n": one.n}


def _by_level(figures: Mapping[float, float]) -> dict[str, float | None]:
    return {show_number(level): _figure(figure) for level, figure in figures.items()}


def _figure(value: float) -> float | None:
    return value if math.isfinite(value) else None


def write_forecasts(path: Path, plan: Plan, results: Results) -> None:
    """One line for each origin, horizon and level: `issued_at,target_at,level,value,peak`.

    An origin without enough known samples to forecast from has no lines.
    """
    issued = plan.series.start + plan.series.step * results.positions
    rows = [results.levels.index(level) for level in plan.levels]
    names = [show_number(level) for level in plan.levels]
    horizons, levels = len(plan.horizons), len(plan.levels)
    with writing("--forecasts", path) as file:
        writer = csv.writer(file)
        writer.writerow(("issued_at", "target_at", "level", "value", "peak"))
        known = np.flatnonzero(~np.isnan(results.values[:, 0, 0]))
        for n in known.tolist():
            values = results.values[n, rows].T.ravel().tolist()
            peaks = results.peaks[n, rows].T.ravel().tolist()
            time = int(issued[n])
            targets = [time + horizon for horizon in plan.horizons for _ in range(levels)]
            writer.writerows(zip([time] * len(targets), targets, names * horizons, values, peaks, strict=True))


def print_table(plan: Plan, results: Results, reference: Results) -> None:
    """The figures for people, beside those of the reference."""
    console = Console()
    title = f"{plan.name}: {plan.forecaster}, {duration(plan.tested)} from {iso(plan.train_end)}"
    table = Table(title=title, box=SIMPLE_HEAD)
    for head in _HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    for horizon, value in results.value_scores.items():
        peak = results.peak_scores[horizon]
        for n, level in enumerate(plan.levels):
            first = n == 0
            table.add_row(
                show_duration(horizon) if first else "",
                ratio(value.mase) if first else "",
                show_number(level),
                *_cells(value, reference.value_scores[horizon], level),
                *_cells(peak, reference.peak_scores[horizon], level),
                end_section=level == plan.levels[-1],
            )
    console.print(table)
    for line in (_LEGEND, *says_of_fits(plan, results), _times(results)):
        console.print(line, highlight=False, markup=False)


def _cells(one: Score, other: Score, level: float) -> tuple[Text, Text, Text]:
    part = relative(one, other, level)
    beside = Text(ratio(part), style="green" if part < 0.995 else "red" if part > 1.005 else "")
    covered = one.coverage[level]
    far = abs(covered - level) > _NOTABLE
    return Text(loss(one.pinball[level])), beside, Text(percent(covered), style="yellow" if far else "")


def loss(value: float) -> str:
    """Three significant digits, so that a table fits a terminal; a dash where there is none."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.3g}" if abs(value) < 1e3 else number(value)


def ratio(value: float) -> str:
    """Two decimals; a dash where there is none."""
    if math.isinf(value):
        return "∞"
    return f"{value:.2f}" if math.isfinite(value) else "-"


def percent(share: float) -> str:
    """One decimal; a dash where there is none."""
    return f"{share:.1%}" if math.isfinite(share) else "-"


def says_of_fits(plan: Plan, results: Results) -> list[str]:
    """How often was fitted, what failed, and what the last fit says of itself."""
    fits = plural(len(results.fit_seconds), "fit")
    says = [f"{fits} by {results.forecaster}, {duration(plan.refit_every)} apart, to at most {plan.history} samples"]
    if results.explanation:
        says.append(f"the last fit says: {results.explanation}")
    if results.failures:
        failed = f"{len(results.failures)} of {fits} failed, so that the one before stayed in use"
        says.append(f"{failed}; the last of them: {results.failures[-1]}")
    return says


def _times(results: Results) -> str:
    fits = sorted(results.fit_seconds)
    return (
        f"CPU time: {_time(fits[len(fits) // 2])} a fit in the median, {_time(fits[-1])} at most; "
        f"{_time(results.predict_seconds)} a forecast, many at once"
    )


def _time(seconds: float) -> str:
    """Three significant digits in a unit that suits."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
