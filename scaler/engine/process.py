"""The engine process: `python -m scaler.engine.process FD`, started by the edge with one end of a socket.

It ends when the socket does: the edge has gone, or wants it gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import uvloop
from prometheus_client import CollectorRegistry

from scaler.collecting import collect_rarely
from scaler.engine import configuration
from scaler.engine.aside import SWITCH_INTERVAL
from scaler.engine.assembly import running_engine
from scaler.engine.frames import FrameReader, encode_frame
from scaler.engine.messages import Ask, Called, Changes, Configure, Register, Reply, ToEngine
from scaler.errors import ForesailError
from scaler.heap import keep_pages
from scaler.sources.address import AddressPolicy
from scaler.sources.factory import SourcePool
from scaler.store.standby import StandbyStore
from scaler.telemetry.engine import EngineMetrics
from scaler.telemetry.log import get_logger, setup_logging
from scaler.telemetry.loop_lag import watch_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.engine.engine import Engine
    from scaler.settings import Settings

__all__ = ["STORE_FILE", "main"]

STORE_FILE = "foresail.db"
"""Name of the store in the settings' `data_dir`."""

_UNREAD = 64 * 1024 * 1024  # bytes that an edge may leave unread before it counts as stuck

_NICENESS = 5  # answers that are due come before those that will be; fits come after both

_AT_ONCE = 20  # triggers taken up in one turn of the loop, some 10 ms; their first questions share a request

log = get_logger(__name__)


def main() -> int:
    """Runs the engine until the edge closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the edge says when to end
    edge = socket.socket(fileno=int(sys.argv[1]))
    # it was made inheritable for this process; a fit worker that held it would keep the edge from seeing this one die
    edge.set_inheritable(False)
    os.nice(_NICENESS)
    collect_rarely()
    keep_pages()
    sys.setswitchinterval(SWITCH_INTERVAL)
    return uvloop.run(_run(edge))


async def _run(sock: socket.socket) -> int:
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    frames: FrameReader[ToEngine] = FrameReader(reader, ToEngine)
    first = await frames.read()
    if not isinstance(first, Configure):
        writer.transport.abort()  # the edge is gone already, or no edge: nobody to tell, and no settings to log by
        return 1
    settings = configuration.loads(first.settings)
    setup_logging(level=settings.log_level, log_format=settings.log_format)
    gone = asyncio.Event()

    def publish(message: object) -> None:
        if writer.is_closing() or writer.transport.get_write_buffer_size() > _UNREAD:
            gone.set()
        else:
            writer.write(encode_frame(message))

    serving = asyncio.create_task(_serve(settings, frames, publish))
    ending = asyncio.create_task(gone.wait())
    try:
        await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not serving.done():
            if not writer.is_closing():
                log.error("engine.edge_stuck", unread_bytes=writer.transport.get_write_buffer_size())
            serving.cancel()
        await asyncio.wait((serving,))
        return _ended(serving)
    finally:
        writer.transport.abort()


def _ended(serving: asyncio.Task[None]) -> int:
    """The exit status, after a word on why the engine ended if nobody asked it to."""
    error = None if serving.cancelled() else serving.exception()
    if error is None:
        return 0
    if isinstance(error, ForesailError):
        log.error("engine.failed", reason=str(error))
    else:
        log.unforeseen("engine.failed", error)
    return 1


async def _serve(settings: Settings, frames: FrameReader[ToEngine], publish: Callable[[object], None]) -> None:
    registry = CollectorRegistry()
    metrics = EngineMetrics(registry)
    store = StandbyStore(settings.data_dir / STORE_FILE, on_error=metrics.store_failed)
    policy = AddressPolicy.parse(settings.allow_addresses, only_listed=settings.only_listed_addresses)
    pool = SourcePool(
        policy=policy,
        max_bytes=settings.max_response_bytes,
        connections=settings.source_concurrency,
        together=settings.queries_together,
    )
    lag = asyncio.create_task(watch_loop(metrics.loop_late, tasks=metrics.loop_tasks))
    try:
        async with running_engine(
            settings=settings,
            store=store,
            open_source=pool.open,
            publish=publish,
            clock=time.time,
            meter=metrics,
        ) as engine:
            metrics.follow(
                series=lambda: engine.series_count,
                series_bytes=lambda: engine.series_bytes,
                fits_waiting=lambda: engine.fits_waiting,
                files_set_aside=lambda: len(store.set_aside),
            )
            await _listen(frames, engine, metrics, publish)
    finally:
        lag.cancel()
        await pool.close()


async def _listen(
    frames: FrameReader[ToEngine], engine: Engine, metrics: EngineMetrics, publish: Callable[[object], None]
) -> None:
    registered = 0
    while (message := await frames.read()) is not None:
        if isinstance(message, Register):
            engine.register(
                trigger_id=message.trigger, namespace=message.namespace, name=message.name, metadata=message.metadata
            )
            registered += 1
            if registered % _AT_ONCE == 0:  # a fleet's are all there at once, and reading them does not wait
                await asyncio.sleep(0)
        elif isinstance(message, Called):
            engine.called(message.triggers)
        elif isinstance(message, Changes):
            engine.decisions.add(message.changes)
        elif isinstance(message, Ask) and message.what == "decisions":
            engine.decisions.answer(message, publish)
        elif isinstance(message, Ask):
            publish(Reply(message.number, metrics.page() if message.what == "metrics" else b""))


if __name__ == "__main__":
    raise SystemExit(main())
