"""The load bench: a fleet, a source, KEDA's calls, and Foresail beside a bare gRPC server in the same run.

    python -m tests.bench.load.run --triggers 10000 --seconds 20

Figures are ratios to the bare server, so that the machine cancels out. Three processes share it with the servers: this
one is KEDA, one is the source. Nothing is asserted here; `docs/benchmarks.md` has what was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import msgspec

from scaler.engine.process import STORE_FILE
from tests.bench.load import stages
from tests.bench.load.fleet import Fleet
from tests.bench.load.keda import POLL
from tests.bench.load.real import prometheus
from tests.bench.load.report import Report, table
from tests.bench.load.scene import foresail, helper
from tests.bench.load.seed import fill

__all__ = ["main", "measure"]


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--triggers", type=int, default=1000, help="ScaledObjects, with a series each (default: 1000)")
    parser.add_argument("--days", type=int, default=8, help="of history (default: 8)")
    parser.add_argument("--forecaster", default="auto", help="that all triggers ask for (default: auto)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each measurement (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison with the bare server (default: 3)")
    parser.add_argument("--rate", type=float, default=1000.0, help="RPCs a second, open-loop (default: 1000)")
    parser.add_argument("--curve", default="", help="fleets to try at KEDA's own pace, such as 2000,5000,10000")
    parser.add_argument("--curve-seconds", type=float, default=POLL, help="for each of them (default: 30)")
    parser.add_argument("--settle", type=float, default=0.0, help="seconds of refreshing that are watched (default: 0)")
    parser.add_argument("--no-fits", action="store_true", help="models are used as they are, never refitted")
    parser.add_argument("--data", type=Path, help="a store filled before; made there if it is not")
    parser.add_argument("--busy", action="store_true", help="latencies with the fit pool held and at work, too")
    parser.add_argument(
        "--real-prometheus", action="store_true", help="over a real Prometheus, which scrapes the fleet"
    )
    parser.add_argument("--empty", action="store_true", help="begins without a store: all of the past is fetched")
    parser.add_argument("--no-restart", action="store_true", help="leaves out the warm start")
    parser.add_argument("--json", action="store_true", help="figures for programs")
    return parser.parse_args(argv)


async def measure(arguments: argparse.Namespace, directory: Path) -> Report:
    """Runs everything; ended by SIGTERM, it leaves no process behind."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    fleet = Fleet(size=arguments.triggers, forecaster=arguments.forecaster, days=arguments.days)
    report = Report(triggers=fleet.size, forecaster=fleet.forecaster, days=fleet.days)
    settings = {"FORESAIL_IDLE_AFTER": "1d"}  # members that a stage leaves out are not let go of
    if arguments.no_fits:
        settings["FORESAIL_REFIT_EVERY"] = "30d"
    if not arguments.empty and not (directory / STORE_FILE).exists():
        fill(directory, fleet)
    real = arguments.real_prometheus
    report.source = "real" if real else "fake"
    of_fleet = prometheus(fleet, directory / "prometheus") if real else helper("prometheus")
    async with of_fleet as source, helper("bare") as bare:
        serve = partial(foresail, directory, source_port=source.port, settings=settings)
        async with serve() as server:
            await server.metrics()  # waits until the engine answers
            report.empty = {
                "seconds to listening": server.ready_after,
                **{f"{name} without triggers, MiB": value for name, value in stages.held(server).items()},
            }
            report.cold = await stages.start(server, fleet)
            _say(report.cold)
            if arguments.rounds:
                report.compared = await stages.compare(
                    server, bare, fleet, seconds=arguments.seconds, rounds=arguments.rounds, rate=arguments.rate
                )
                _say(report.compared)
            if arguments.busy:
                report.busy = await stages.busy(
                    server, fleet, seconds=arguments.seconds, rounds=arguments.rounds, rate=arguments.rate
                )
                _say(report.busy)
            sizes = [int(size) for size in arguments.curve.split(",") if size]
            report.curve = await stages.curve(server, bare, fleet, sizes, seconds=arguments.curve_seconds)
            _say(report.curve)
            if arguments.settle:
                report.refreshing = await stages.refreshing(server, source, seconds=arguments.settle)
                _say(report.refreshing)
            report.memory = stages.held(server)
            _say(report.memory)
        if not arguments.no_restart:
            async with serve() as server:
                report.warm = await stages.start(server, fleet)
    return report


def _say(found: object) -> None:
    """What was found so far, for whoever watches."""
    print(found, file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Runs the bench and prints what it found."""
    arguments = _arguments(argv)
    with tempfile.TemporaryDirectory(prefix="foresail-bench-") as scratch:
        report = asyncio.run(measure(arguments, arguments.data or Path(scratch)))
    print(msgspec.json.encode(report).decode() if arguments.json else table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
