"""`python -m scaler.demo`: the demo workload in a container, for deploy/kind: its exporter, or its past.

    python -m scaler.demo --listen 0.0.0.0:9000 --cycle 600
    python -m scaler.demo --past 7200 --cycle 600 --to past.om

The load depends on the clock alone, so all of its pods tell the same, and the past fits what follows.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from pathlib import Path

from scaler.demo.workload import METRIC, DemoLoad, Exporter

__all__ = ["main", "parser"]

_STEP = 5  # seconds between two samples of the past


def parser() -> argparse.ArgumentParser:
    """What it takes."""
    declared = argparse.ArgumentParser(prog="python -m scaler.demo", description="The demo workload of deploy/kind.")
    declared.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:9000", help="where its /metrics are")
    declared.add_argument("--cycle", metavar="SECONDS", type=int, default=600, help="from one rise to the next")
    declared.add_argument(
        "--past", metavar="SECONDS", type=int, help="write so much of its past instead, as OpenMetrics"
    )
    declared.add_argument("--to", metavar="FILE", type=Path, default=Path("/dev/stdout"), help="where the past goes")
    return declared


def main(arguments: list[str] | None = None) -> None:
    """Serves until SIGTERM, or writes the past as OpenMetrics and ends."""
    given = parser().parse_args(arguments)
    load = DemoLoad(cycle=given.cycle)
    if given.past is not None:
        with given.to.open("w") as file:
            file.writelines(_past(load, end=int(time.time()) // _STEP * _STEP, seconds=given.past))
        return
    host, _, port = given.listen.rpartition(":")
    asyncio.run(_serve(Exporter(load, clock=time.time, host=host, port=int(port))))


def _past(load: DemoLoad, *, end: int, seconds: int) -> list[str]:
    counted = load.requests(end=end, seconds=seconds, step=_STEP)
    lines = [f'{METRIC}{{job="demo-load"}} {count:.1f} {time}\n' for time, count in counted]
    return [f"# TYPE {METRIC.removesuffix('_total')} counter\n", *lines, "# EOF\n"]


async def _serve(exporter: Exporter) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await exporter.start()
    try:
        await stop.wait()
    finally:
        await exporter.stop()


if __name__ == "__main__":
    main()
