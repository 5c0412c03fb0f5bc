"""The engine process: `python -m scaler.engine.process FD`, started by the edge with one end of a socket.

It ends when the socket does: the edge has gone, or wants it gone.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from scaler.engine import configuration
from scaler.engine.assembly import running_engine
from scaler.engine.frames import FrameReader, encode_frame
from scaler.engine.messages import Ask, Called, Configure, Register, Reply, ToEngine
from scaler.errors import EngineLost
from scaler.sources.address import AddressPolicy
from scaler.sources.factory import SourcePool
from scaler.store.sqlite import SqliteStore
from scaler.telemetry.log import setup_logging

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.engine.engine import Engine
    from scaler.engine.messages import Evicted, Refused, Update
    from scaler.settings import Settings

__all__ = ["main", "open_pool"]

_STORE_FILE = "foresail.db"


def main() -> int:
    """Runs the engine until the edge closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the edge says when to end
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1]))))
    return 0


async def _serve(sock: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=sock)
    frames: FrameReader[ToEngine] = FrameReader(reader, ToEngine)
    first = await frames.read()
    if not isinstance(first, Configure):
        raise EngineLost("the edge did not say how this engine is configured")
    settings = configuration.loads(first.settings)
    setup_logging(level=settings.log_level, fmt=settings.log_format)

    def publish(message: Update | Refused | Evicted | Reply) -> None:
        writer.write(encode_frame(message))

    pool = open_pool(settings)
    try:
        async with running_engine(
            settings=settings,
            store=open_store(settings),
            open_source=pool.open,
            publish=publish,
            clock=time.time,
            meter=meter,
        ) as engine:
            await _listen(frames, engine, publish)
    finally:
        await pool.close()
        writer.close()
