"""A real Prometheus over a fleet: with its past in blocks, and scraping what the fleet goes on to export."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from typing import TYPE_CHECKING

import httpx
import numpy as np

from tests.bench.load.fleet import STEP, counted, free_port, labels_of
from tests.bench.load.scene import Helper, gone, helper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.bench.load.fleet import Fleet

__all__ = ["prometheus"]

_SCRAPES = "15s"
_PATIENCE = 300.0  # seconds to read its blocks


@contextlib.asynccontextmanager
async def prometheus(fleet: Fleet, directory: Path) -> AsyncIterator[Helper]:
    """`/usr/bin/prometheus` and an exporter of the fleet's counters, until the context ends.

    Args:
        fleet: Whose loads.
        directory: Where its configuration and its data are put.
    """
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed: apt-get install prometheus")
    await asyncio.to_thread(directory.mkdir, exist_ok=True)
    await _backfill(fleet, directory)
    async with helper("exporter", str(fleet.size)) as exporter:
        (directory / "prometheus.yml").write_text(
            f"global: {{scrape_interval: {_SCRAPES}}}\n"
            # the labels are the fleet's own, so that its past and its present are the same series
            "scrape_configs: [{job_name: fleet, honor_labels: true, "
            f'static_configs: [{{targets: ["127.0.0.1:{exporter.port}"]}}], '
            'metric_relabel_configs: [{action: labeldrop, regex: "job|instance"}]}]\n'
        )
        port = free_port()
        with (directory / "prometheus.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *("prometheus", f"--config.file={directory / 'prometheus.yml'}"),
                *(f"--storage.tsdb.path={directory / 'data'}", "--storage.tsdb.retention.time=60d"),
                f"--web.listen-address=127.0.0.1:{port}",
                stdout=log,
                stderr=log,
            )
        try:
            await _ready(port)
            yield Helper(process.pid, port)
        finally:
            process.terminate()
            await gone(process)


async def _backfill(fleet: Fleet, directory: Path) -> None:
    """The counters of the fleet's days, one sample a minute, up to the last minute."""
    end = int(time.time()) // STEP * STEP
    times = end - STEP * np.arange(fleet.days * 86400 // STEP)[::-1]
    text = directory / "past.om"
    with text.open("w") as file:
        file.write("# TYPE http_requests_total gauge\n")
        for member in range(fleet.size):
            name = f"http_requests_total{{{labels_of(member)}}}"
            file.writelines(f"{name} {counted(member, at):.6f} {at}\n" for at in times.tolist())
        file.write("# EOF\n")
    # one block for 20 days instead of one for 2 hours: promtool reads the whole file once for each
    command = ("promtool", "tsdb", "create-blocks-from", "--max-block-duration=486h", "openmetrics", "--quiet")
    process = await asyncio.create_subprocess_exec(*command, str(text), str(directory / "data"))
    if await process.wait():
        raise SystemExit(f"promtool could not make blocks of {text}")
    text.unlink()


async def _ready(port: int) -> None:
    """Returns when it answers queries; what it has not scraped yet, it knows from its blocks."""
    async with httpx.AsyncClient(timeout=10.0) as client, asyncio.timeout(_PATIENCE):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{port}/-/ready")).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.1)
