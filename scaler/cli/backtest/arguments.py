"""The command's arguments, and the plan that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecasting.errors import ForecastError
from forecasting.registry import default_registry
from scaler.cli.arguments import listed, moment, output_file, typed
from scaler.cli.calendar import add_calendar_arguments
from scaler.cli.history import add_history_arguments, read_history
from scaler.cli.pool import cores
from scaler.cli.split import add_split_arguments, train_end_of
from scaler.errors import InvalidSettings
from scaler.kinds import DAY, duration, integer, number, show_duration
from scaler.local_calendar import with_calendar
from scaler.times import iso
from scaler.trigger.parse import SCHEMA
from scaler.words import plural

if TYPE_CHECKING:
    import argparse

    from forecasting.series import TimeSeries

__all__ = ["Plan", "configure", "default_forecaster", "read_plan"]

_BEST = "auto"
_STAND_IN = "seasonal-profile"  # where the registry has no `auto`
_HORIZON = duration(minimum=1, maximum=DAY, bare=1)
_USUAL = (300, 900, 3600)  # seconds
_LEVEL = number(minimum=0.001, maximum=0.999)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What is to be tried.

    Attributes:
        name: Of the series.
        series: The whole history.
        train_end: Time of the last sample that is for learning only, and of the first origin; epoch seconds.
        forecaster: Its name.
        parameters: Its parameters, texts by name.
        horizons: Seconds, multiples of the series' step, increasing.
        levels: Quantile levels, increasing.
        refit_every: Seconds from one fit to the next.
        history: Samples that a fit sees, at most: what the server keeps by default.
    """

    name: str
    series: TimeSeries
    train_end: int
    forecaster: str
    parameters: dict[str, str]
    horizons: tuple[int, ...]
    levels: tuple[float, ...]
    refit_every: int
    history: int

    @property
    def steps(self) -> tuple[int, ...]:
        """The horizons in steps of the series."""
        return tuple(seconds // self.series.step for seconds in self.horizons)

    @property
    def tested(self) -> int:
        """Seconds from the first origin to the end of the series."""
        return self.series.end - self.train_end


def default_forecaster() -> str:
    """The forecaster of those who name none."""
    return _BEST if _BEST in default_registry().names() else _STAND_IN


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_history_arguments(parser)
    forecaster = parser.add_argument_group("the forecaster")
    add = forecaster.add_argument
    add("--forecaster", default=default_forecaster(), metavar="NAME", help="the method (default: %(default)s)")
    add("--parameter", action="append", default=[], metavar="NAME=VALUE", help="one of its parameters; repeatable")
    add_calendar_arguments(forecaster)
    add(
        "--refit-every",
        type=typed(duration(minimum=60, bare=1)),
        default=DAY,
        metavar="TIME",
        help="how long a fit is used (default: 24h)",
    )
    add_split_arguments(parser, title="what is learned from, and what is forecast")
    add = parser.add_argument_group("what is judged").add_argument
    add(
        "--horizon",
        type=listed(_HORIZON),
        metavar="TIME[,TIME]",
        help="how far ahead (default: 5m,15m,60m, in whole steps)",
    )
    add(
        "--levels",
        type=listed(_LEVEL),
        default=(0.5, 0.9, 0.95, 0.99),
        metavar="Q[,Q]",
        help="quantiles (default: 0.5,0.9,0.95,0.99)",
    )
    add = parser.add_argument_group("output").add_argument
    add("--json", action="store_true", help="print the figures for machines")
    add(
        "--forecasts",
        type=output_file,
        metavar="OUT.csv",
        help="write every forecast: a line per origin, horizon and level",
    )
    add("--html", type=output_file, metavar="OUT.html", help="write a page about it")
    add("--stretch", type=moment, metavar="TIME", help="what the page shows close up (default: the highest load)")
    add(
        "--jobs",
        type=typed(integer(minimum=1, maximum=1024)),
        default=cores(),
        metavar="N",
        help="processes (default: all cores)",
    )


def read_plan(arguments: argparse.Namespace) -> Plan:
    """The plan that the arguments make.

    Raises:
        SourceError: The series cannot be read.
        InvalidSettings: The arguments do not fit each other or the series.
    """
    parameters = with_calendar(
        arguments.forecaster,
        _parameters(arguments.parameter),
        time_zone=arguments.time_zone,
        holidays=arguments.holidays or "",
    )
    try:
        forecaster = default_registry().create(arguments.forecaster, parameters)
    except ForecastError as error:
        raise InvalidSettings([f"--forecaster {arguments.forecaster}: {error}"]) from error
    name, series = read_history(arguments)
    train_end = train_end_of(arguments, series)
    plan = Plan(
        name=name,
        series=series,
        train_end=train_end,
        forecaster=arguments.forecaster,
        parameters=parameters,
        horizons=_horizons(arguments.horizon, series, train_end),
        levels=tuple(sorted(set(arguments.levels))),
        refit_every=int(arguments.refit_every),
        history=max(1, int(SCHEMA.defaults["history_window"]) // series.step),
    )
    past = series.until(train_end)
    known, need = past.last(plan.history).known, forecaster.min_history(series.step)
    if known < need:
        wanted = f"{plural(need, 'known sample')} ({show_duration(need * series.step)}) to learn from"
        within = f"in the {show_duration(plan.history * series.step)} " if len(past) > plan.history else ""
        there = f"{within}up to {iso(train_end)} there are {known}"
        helps = "a longer series or a later --train-end helps, and so may a forecaster that needs less"
        raise InvalidSettings([f"--forecaster {plan.forecaster} needs {wanted}; {there}: {helps}"])
    if arguments.stretch is not None and not train_end <= arguments.stretch < series.end:
        told = f"--stretch {iso(arguments.stretch)} must lie in the part that is forecast"
        raise InvalidSettings([f"{told}, from {iso(train_end)} to before {iso(series.end)}"])
    return plan


def _parameters(texts: list[str]) -> dict[str, str]:
    """Texts by name."""
    parameters: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InvalidSettings([f"--parameter {text}: it must be NAME=VALUE"])
        if name.strip() in parameters:
            raise InvalidSettings([f"--parameter {name.strip()} is given twice"])
        parameters[name.strip()] = value
    return parameters


def _horizons(asked: tuple[float, ...] | None, series: TimeSeries, train_end: int) -> tuple[int, ...]:
    """The horizons asked for, in seconds, increasing; or the usual ones, as far as this series has them."""
    problems = []
    step, rest = series.step, series.end - train_end
    if asked is None:
        usual = sorted({-(-horizon // step) * step for horizon in _USUAL})
        return tuple(horizon for horizon in usual if horizon <= rest) or (step,)
    for seconds in asked:
        if seconds % step:
            problems.append(
                f"--horizon {show_duration(seconds)} is not a multiple of {show_duration(step)}, the step of the series"
            )
        elif seconds > rest:
            problems.append(
                f"--horizon {show_duration(seconds)} is longer than what is forecast, "
                f"{show_duration(rest)} from {iso(train_end)} on: no such forecast could be judged"
            )
    if problems:
        raise InvalidSettings(problems)
    return tuple(sorted({int(seconds) for seconds in asked}))
