"""`foresail doctor`: runs the checks of scaler.doctor and shows what they find."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scaler.cli.arguments import add_config_argument, typed
from scaler.connection import ADDRESS
from scaler.doctor.check import Verdict, run_checks
from scaler.doctor.plan import checks_of, unreadable
from scaler.doctor.query import Question
from scaler.doctor.source import Tools
from scaler.errors import InvalidSettings
from scaler.kinds import DAY, HOUR, duration, quoted
from scaler.parameters import nearest
from scaler.settings import load_settings
from scaler.sources.address import AddressPolicy
from scaler.sources.base import SourceSpec
from scaler.sources.factory import SourcePool
from scaler.telemetry.log import setup_logging
from scaler.trigger.kinds import STEP
from scaler.trigger.parse import SCHEMA
from scaler.words import plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from scaler.doctor.check import Check, Report
    from scaler.settings import Settings

__all__ = ["configure", "run"]

_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.SKIP: "dim"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_config_argument(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--source", metavar="NAME", help="check this source of the settings only, not all of them")
    which.add_argument(
        "--server-address",
        metavar="URL",
        type=typed(ADDRESS),
        help="check this address instead, as a trigger's serverAddress",
    )
    parser.add_argument("--query", metavar="Q", help="check this query too, as a trigger's query")
    parser.add_argument(
        "--step",
        metavar="DURATION",
        type=typed(STEP),
        default=SCHEMA.defaults["step"],
        help="between the query's samples, as a trigger's queryStep (default: 60s)",
    )
    parser.add_argument(
        "--window",
        metavar="DURATION",
        type=typed(duration(minimum=HOUR, maximum=400 * DAY)),
        default=SCHEMA.defaults["history_window"],
        help="of the query's history, as a trigger's historyTimeWindow (default: 14d)",
    )
    parser.add_argument("--json", action="store_true", help="print the findings for machines")
    parser.epilog = (
        "Run it where the server runs, with the server's settings: it sees what the server would see.\n"
        "It changes nothing, and a running server goes on.\n\n"
        "Exit codes: 0 nothing failed, 1 something did, 2 wrong arguments."
    )


def run(arguments: argparse.Namespace) -> int:
    """Checks everything."""
    setup_logging(level="error")
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    console = Console()
    try:
        settings = load_settings(path=arguments.config, environ=os.environ, overrides={})
    except InvalidSettings as error:
        return await _told(unreadable(error), console, as_json=arguments.json)
    policy = AddressPolicy.parse(settings.allow_addresses, only_listed=settings.only_listed_addresses)
    pool = SourcePool(policy=policy, max_bytes=settings.max_response_bytes)
    try:
        checks = _plan(arguments, settings, Tools(pool=pool, policy=policy, sleep=asyncio.sleep))
        return await _told(checks, console, as_json=arguments.json)
    finally:
        await pool.close()


def _plan(arguments: argparse.Namespace, settings: Settings, tools: Tools) -> list[Check]:
    sources = _sources(arguments, settings)
    question = None
    if arguments.query is not None:
        if len(sources) != 1:
            count = len(sources)
            raise InvalidSettings(
                [f"--query is asked of one source, and there are {count}: add --source NAME or --server-address URL"]
            )
        question = Question(query=arguments.query, step=arguments.step, window=arguments.window)
    return checks_of(
        settings,
        read_from="defaults and environment" if arguments.config is None else str(arguments.config),
        sources=sources,
        asked=sources[0] if question else None,
        question=question,
        window=arguments.window,
        tools=tools,
    )


def _sources(arguments: argparse.Namespace, settings: Settings) -> list[SourceSpec]:
    """The sources to check."""
    if arguments.server_address is not None:
        return [SourceSpec(kind="prometheus", address=arguments.server_address)]
    if arguments.source is None:
        return list(settings.sources.values())
    if arguments.source not in settings.sources:
        near = nearest(arguments.source, settings.sources)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(settings.sources) or 'none'}"
        raise InvalidSettings([f"--source {quoted(arguments.source)}: the settings name no such source; {hint}"])
    return [settings.sources[arguments.source]]


async def _told(checks: Iterable[Check], console: Console, *, as_json: bool) -> int:
    """Runs the checks and shows each finding as it comes; the exit code."""
    reports: list[Report] = []
    # a watcher of a terminal sees that something goes on; who reads the output of a script needs no such thing
    with console.status("checking ..."):
        async for report in run_checks(checks):
            if not as_json:
                _show(console, report, first=not reports or reports[-1].about != report.about)
            reports.append(report)
    failed = any(report.verdict is Verdict.FAIL for report in reports)
    if as_json:
        print(json.dumps({"ok": not failed, "checks": [asdict(report) for report in reports]}, indent=2))
    else:
        counts = {verdict: sum(report.verdict is verdict for report in reports) for verdict in Verdict}
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        console.print()
        console.print(f"{plural(len(reports), 'check')}: {said}", highlight=False)
    return 1 if failed else 0


def _show(console: Console, report: Report, *, first: bool) -> None:
    if first:
        console.print(Text(report.about, style="bold"))
    row = Table.grid(padding=(0, 2))
    row.add_column(width=6, justify="right")
    row.add_column(width=14, no_wrap=True)
    row.add_column(overflow="fold")
    found = Text(report.found)
    if report.mend:
        found.append(f"\n→ {report.mend}", style="italic")
    row.add_row(Text(report.verdict, style=_STYLES[report.verdict]), report.name, found)
    console.print(row)
