"""`foresail demo`: a workload, its past, the server and KEDA's side of the conversation, on this machine alone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from scaler.cli.arguments import duration_argument
from scaler.decision import Source
from scaler.demo.cluster import Cluster
from scaler.demo.view import Row, View
from scaler.demo.workload import METRIC, DemoLoad, Exporter
from scaler.edge.desk import TriggerDesk
from scaler.engine.assembly import running_engine
from scaler.engine.messages import Called, Register
from scaler.engine.meter import NoMeter
from scaler.keda.client import KedaClient, ref
from scaler.keda.server import KedaServer
from scaler.settings import Settings
from scaler.sources.address import AddressPolicy
from scaler.sources.base import SourceSpec
from scaler.sources.factory import SourcePool
from scaler.store.sqlite import SqliteStore
from scaler.telemetry.log import setup_logging
from scaler.trigger import parse_trigger
from scaler.words import duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from scaler.engine.engine import Engine
    from scaler.engine.messages import ToEngine
    from scaler.keda.client import Reading, ScaledObjectRef

__all__ = ["configure", "run"]

_STARTUP = 10  # seconds, and HPA syncs: a second here stands for 15 in a cluster
_TARGET = 50.0  # requests per second that one pod carries
_PAST = 3600  # seconds
_LEARNING = 30.0  # seconds to wait for the first forecast at most
_NAMESPACE = "demo"
_METADATA = {
    "source": "demo",
    "query": METRIC,
    "threshold": f"{_TARGET:g}",
    "leadTime": f"{_STARTUP}s",
    "queryStep": "1s",
    "historyTimeWindow": "1h",
}
_PLAIN = _METADATA | {"mode": "observe"}
_WHY = {
    Source.OBSERVED: "observed, with headroom",
    Source.FORECAST: "the forecast peak",
    Source.CAP: "the forecast peak, capped",
    Source.EVENT: "an announced event",
    Source.OBSERVE_MODE: "observe mode",
}
_INTRO = (
    f"A demo workload: its load rises steeply every 90 s; a pod carries {_TARGET:g} requests a second and takes\n"
    f"{_STARTUP} s to start. One second here stands for one HPA sync (15 s) in a cluster. The same HPA runs twice: on\n"
    "the observed load, as plain KEDA does, and on what Foresail serves. Ctrl-C ends it."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "--for",
        dest="seconds",
        metavar="DURATION",
        type=duration_argument,
        default=60.0,
        help="how long to watch, such as 90s or 5m; 0s goes on until Ctrl-C (default: 60s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the demo."""
    setup_logging(level="warning")
    with tempfile.TemporaryDirectory(prefix="foresail-demo-") as directory:
        asyncio.run(_demo(arguments.seconds or math.inf, Path(directory)))
    return 0


async def _demo(seconds: float, directory: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    load = DemoLoad(begin=time.time())
    exporter = Exporter(load, clock=time.time)
    await exporter.start()
    try:
        async with _scaler(exporter.address, load, directory) as (desk, engine, keda):
            await _watch(desk, engine, keda, seconds=seconds, stop=stop)
    finally:
        await exporter.stop()


@contextlib.asynccontextmanager
async def _scaler(
    address: str, load: DemoLoad, directory: Path
) -> AsyncIterator[tuple[TriggerDesk, Engine, KedaClient]]:
    """The server as `foresail serve` runs it, with the engine in this process."""
    settings = Settings(
        data_dir=directory,
        observe_interval=1.0,
        asking_delay=2.0,
        timing_margin=0.0,
        forecast_max_age=10.0,
        sources={"demo": SourceSpec(kind="exposition", address=address, name="demo")},
    )
    store = SqliteStore(directory / "foresail.db")
    series_id = parse_trigger(namespace=_NAMESPACE, name="web", metadata=_METADATA).series_id
    store.append([(series_id, load.past(end=int(time.time()), samples=_PAST))])
    pool = SourcePool(policy=AddressPolicy.parse(()))
    engines: list[Engine] = []

    def tell(message: ToEngine) -> None:
        if isinstance(message, Register):
            engines[0].register(
                trigger_id=message.trigger, namespace=message.namespace, name=message.name, metadata=message.metadata
            )
        elif isinstance(message, Called):
            engines[0].called(message.triggers)

    desk = TriggerDesk(settings=settings, tell=tell)
    server = KedaServer(desk, address="127.0.0.1:0", observer=lambda *_: None)
    try:
        async with running_engine(
            settings=settings,
            store=store,
            open_source=pool.open,
            publish=desk.apply,
            clock=time.time,
            meter=NoMeter(),
        ) as engine:
            engines.append(engine)
            await server.start()
            try:
                async with KedaClient(f"127.0.0.1:{server.port}") as keda:
                    yield desk, engine, keda
            finally:
                await server.drain(grace=1.0)
    finally:
        await pool.close()


async def _watch(desk: TriggerDesk, engine: Engine, keda: KedaClient, *, seconds: float, stop: asyncio.Event) -> None:
    """Plays KEDA and two HPAs, once a second, until the time is over or the user has seen enough."""
    console = Console()
    plain_ref, ahead_ref = (ref(metadata, namespace=_NAMESPACE) for metadata in (_PLAIN, _METADATA))
    first = await _first_forecast(desk, keda, ahead_ref, console, stop)
    pods = max(1, math.ceil(first.value / _TARGET)) if first is not None and first.ok else 1
    plain, ahead = (Cluster(target=_TARGET, startup_ticks=_STARTUP, pods=pods) for _ in range(2))
    with View(console, intro=_INTRO) as view:
        async for second in _seconds(seconds, stop):
            (plain_reading,) = await keda.sync([plain_ref])
            (ahead_reading,) = await keda.sync([ahead_ref])
            engine.called(desk.take_called())
            if plain_reading.ok:
                plain.sync(plain_reading.value, plain_reading.value)
                ahead.sync(ahead_reading.value if ahead_reading.ok else None, plain_reading.value)
            view.show(_row(desk, second, plain_reading, ahead_reading, plain, ahead))
    view.summary(plain, ahead)


async def _first_forecast(
    desk: TriggerDesk, keda: KedaClient, trigger: ScaledObjectRef, console: Console, stop: asyncio.Event
) -> Reading | None:
    """Calls as KEDA does until the past is learned, a bounded while; the last answer, None if stopped before any."""
    reading = None
    with console.status(f"Learning from the last {duration(_PAST)} of the workload ..."):
        async for _ in _seconds(_LEARNING, stop):
            reading = await keda.poll(trigger)
            if reading.ok and any(entry.snapshot and entry.snapshot.outlook for entry in desk.entries()):
                break
    return reading


async def _seconds(count: float, stop: asyncio.Event) -> AsyncIterator[int]:
    """0, 1, 2, ... a second apart by the clock, until `count` or until it is told to stop."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for second in itertools.count():
        if second > count or stop.is_set():
            return
        yield second
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, began + second + 1 - loop.time()))


def _row(
    desk: TriggerDesk, second: int, plain_reading: Reading, ahead_reading: Reading, plain: Cluster, ahead: Cluster
) -> Row:
    entry = next((entry for entry in desk.entries() if entry.policy.observe_only is False), None)
    decision = entry.decision if entry else None
    load = plain_reading.value if plain_reading.ok else 0.0
    return Row(
        elapsed=second,
        observed=plain_reading.value if plain_reading.ok else None,
        forecast=decision.forecast if decision else None,
        served=ahead_reading.value if ahead_reading.ok else None,
        plain=(plain.ready, plain.total),
        plain_short=max(0.0, load - plain.capacity),
        ahead=(ahead.ready, ahead.total),
        ahead_short=max(0.0, load - ahead.capacity),
        why=_WHY[decision.source] if decision and ahead_reading.ok else ahead_reading.text,
    )
