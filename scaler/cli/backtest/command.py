"""From the plan to its results: forecasts on all cores, then what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.refits import fit_times
from scaler.cli.arguments import writing
from scaler.cli.backtest.arguments import read_plan
from scaler.cli.backtest.content import Content, Stretch
from scaler.cli.backtest.jobs import FitJob, forecast_part
from scaler.cli.backtest.output import print_json, print_table, write_forecasts
from scaler.cli.backtest.page import page
from scaler.cli.backtest.results import Outcomes, gathered
from scaler.cli.history import model_files
from scaler.cli.pool import Pool

if TYPE_CHECKING:
    import argparse

    from scaler.cli.backtest.arguments import Plan

__all__ = ["run"]

_REFERENCE = "naive"
"""What every forecaster has to beat."""


def run(arguments: argparse.Namespace) -> int:
    """Forecasts, and writes what was asked for."""
    plan = read_plan(arguments)
    stretch = None if arguments.html is None else Stretch.of(plan, arguments.stretch)
    # the document for machines has nothing of the reference
    compared = plan.forecaster != _REFERENCE and (stretch is not None or not arguments.json)
    levels = tuple(sorted({*plan.levels, 0.5}))  # MASE is that of the median
    whole = () if stretch is None else tuple(stretch.origins)
    jobs = _jobs(plan, plan.forecaster, plan.parameters, levels, whole)
    references = _jobs(plan, _REFERENCE, {}, levels) if compared else []
    with Pool(arguments.jobs, models=model_files(arguments)) as pool:
        parts = pool.map(forecast_part, [*jobs, *references], doing=f"forecasting with {plan.forecaster}")
    own = parts[: len(jobs)]
    origins = np.concatenate([part.positions for part in own])
    outcomes = Outcomes.of(plan.series, origins, plan.steps)
    results = gathered(plan, plan.forecaster, levels, own, outcomes)
    reference = gathered(plan, _REFERENCE, levels, parts[len(jobs) :], outcomes) if compared else results
    if arguments.forecasts is not None:
        write_forecasts(arguments.forecasts, plan, results)
    if stretch is not None:
        content = Content(plan=plan, results=results, reference=reference, outcomes=outcomes, stretch=stretch)
        text = page(content)
        with writing("--html", arguments.html) as file:
            file.write(text)
    if arguments.json:
        print_json(plan, results)
    else:
        print_table(plan, results, reference)
    return 0


def _jobs(
    plan: Plan, forecaster: str, parameters: dict[str, str], levels: tuple[float, ...], whole: tuple[int, ...] = ()
) -> list[FitJob]:
    """One for each fit; each gets the past only, up to the last of its forecasts."""
    times = fit_times(plan.series, train_end=plan.train_end, refit_every=plan.refit_every)
    ends = (*(time - plan.series.step for time in times[1:]), plan.series.end)
    return [
        FitJob(
            series=plan.series.until(end),
            forecaster=forecaster,
            parameters=parameters,
            times=tuple(times[: position + 1]),
            position=position,
            steps=plan.steps,
            levels=levels,
            history=plan.history,
            whole=whole,
        )
        for position, end in enumerate(ends)
    ]
