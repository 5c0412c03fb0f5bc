"""A history to learn from and to try things on: out of a CSV file, or straight from a source."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scaler.cli.arguments import add_config_argument, typed
from scaler.errors import InvalidSettings, NoData
from scaler.kinds import DAY, HOUR, duration, integer
from scaler.settings import load_settings
from scaler.sources.address import AddressPolicy
from scaler.sources.base import SourceSpec
from scaler.sources.csv import read_csv
from scaler.sources.factory import SourcePool
from scaler.training.in_use import ModelFiles
from scaler.words import duration as shown

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Awaitable, Callable

    from forecasting.series import TimeSeries
    from scaler.settings import Settings
    from scaler.sources.base import MetricSource

__all__ = ["add_history_arguments", "ask_source", "fetch_history", "model_files", "read_history"]

T = TypeVar("T")

_STEP = 60  # seconds, of what is asked of a source
_SINCE = 21 * DAY
# What says how to ask a source, by where argparse keeps it.
_OF_A_SOURCE = {"query": "--query", "covariate": "--covariate", "since": "--since", "query_step": "--query-step"}


def add_history_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, or the source, its query and how far back."""
    parser.add_argument(
        "series",
        type=Path,
        nargs="?",
        metavar="SERIES.csv",
        help="the load: a time (epoch seconds or ISO 8601) and a value a line",
    )
    add = parser.add_argument_group("instead of a file").add_argument
    add("--source", metavar="NAME|URL", help="a source of the settings, or a Prometheus server's address")
    add("--query", metavar="PROMQL", help="a query with one result")
    add("--covariate", metavar="PROMQL", action="append", default=[], help="moves before the load does; repeatable")
    add(
        "--since",
        type=typed(duration(minimum=HOUR, maximum=400 * DAY)),
        metavar="TIME",
        help="how far back (default: 21d)",
    )
    add(
        "--query-step",
        type=typed(integer(minimum=1, maximum=int(HOUR))),
        metavar="SECONDS",
        help="between its samples (default: 60)",
    )
    add_config_argument(parser)


def read_history(arguments: argparse.Namespace) -> tuple[str, TimeSeries]:
    """The name of the history, and the history.

    Raises:
        InvalidSettings: Neither a file nor a source with a query is given, or both are; or a file and what says how to
            ask a source.
        SourceError: There is no history to be had.
    """
    if (arguments.series is None) == (arguments.source is None):
        raise InvalidSettings(["either a file SERIES.csv or --source with --query must be given, not both"])
    if arguments.series is not None:
        if lost := [option for name, option in _OF_A_SOURCE.items() if getattr(arguments, name)]:
            raise InvalidSettings([f"{option} goes with --source, not with a file" for option in lost])
        return arguments.series.stem, read_csv(arguments.series)
    if not arguments.query:
        raise InvalidSettings(["--source needs a --query"])
    settings, since, step = _settings(arguments), arguments.since or _SINCE, arguments.query_step or _STEP
    load, *others = (
        fetch_history(settings, arguments.source, query, since=since, step=step)
        for query in (arguments.query, *arguments.covariate)
    )
    return arguments.query, load.beside(others)


def ask_source(
    arguments: argparse.Namespace, questions: Callable[[Callable[[str], Awaitable[float]]], Awaitable[T]]
) -> T:
    """Further questions to the source of the history.

    Args:
        arguments: As of `add_history_arguments`; with a source.
        questions: Is given what answers a query with its value now.

    Raises:
        InvalidSettings: There is no such source.
        SourceError: It does not answer.
    """
    settings = _settings(arguments)
    spec = _spec(arguments.source, settings)

    async def ask() -> T:
        async with _opened(settings, spec) as source:

            async def value(query: str) -> float:
                return (await source.instant(query)).value

            return await questions(value)

    return asyncio.run(ask())


def model_files(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The trained models that the settings point at, as `scaler.cli.pool.Pool` takes them."""
    return ModelFiles.of(_settings(arguments)).arguments


def _settings(arguments: argparse.Namespace) -> Settings:
    return load_settings(path=Path(arguments.config) if arguments.config else None, environ=os.environ, overrides={})


def fetch_history(settings: Settings, source: str, query: str, *, since: float, step: int) -> TimeSeries:
    """The past of a query up to now.

    Args:
        settings: Where sources are named.
        source: A source of the settings, or a Prometheus server's address.
        query: With one result.
        since: How far back, seconds.
        step: Seconds between samples.

    Raises:
        InvalidSettings: There is no such source.
        SourceError: There is no history to be had.
    """
    spec = _spec(source, settings)
    end = int(time.time()) // step * step
    series = asyncio.run(_fetch(settings, spec, query, end=end, since=since, step=step))
    if len(series) < 2:
        raise NoData(f"{source}: the query {query} has no past within {shown(since)}")
    return series


def _spec(source: str, settings: Settings) -> SourceSpec:
    if source in settings.sources:
        return settings.sources[source]
    if "://" in source:
        # whoever may run this command may fetch from anywhere: the address counts as the operator's own word
        return SourceSpec(kind="prometheus", address=source, name=source)
    known = ", ".join(sorted(settings.sources)) or "none"
    raise InvalidSettings([f"--source {source} is neither a source of the settings ({known}) nor a URL"])


async def _fetch(settings: Settings, spec: SourceSpec, query: str, *, end: int, since: float, step: int) -> TimeSeries:
    """The past of the query, without the time before its first sample."""
    async with _opened(settings, spec) as source:
        start = end - int(since) // step * step
        return _trimmed(await source.range(query, start=start, end=end, step=step))


@contextlib.asynccontextmanager
async def _opened(settings: Settings, spec: SourceSpec) -> AsyncIterator[MetricSource]:
    policy = AddressPolicy.parse(settings.allow_addresses, only_listed=settings.only_listed_addresses)
    pool = SourcePool(policy=policy, max_bytes=settings.max_response_bytes, connections=settings.source_concurrency)
    source = pool.open(spec)
    try:
        yield source
    finally:
        await source.close()
        await pool.close()


def _trimmed(series: TimeSeries) -> TimeSeries:
    """Without missing samples at the front: a series that is younger than what was asked for."""
    for n, value in enumerate(series.values.tolist()):
        if value == value:  # noqa: PLR0124  # only NaN is not itself
            return series.last(len(series) - n)
    return series.first(0)
