"""The engine process: `python -m scaler.engine.process FD`, started by the edge with one end of a socket.

It ends when the socket does: the edge has gone, or wants it gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from scaler.engine import configuration
from scaler.engine.assembly import running_engine
from scaler.engine.frames import FrameReader, encode_frame
from scaler.engine.messages import Ask, Called, Configure, Register, Reply, ToEngine
from scaler.errors import EngineLost
from scaler.sources.address import AddressPolicy
from scaler.sources.factory import SourcePool
from scaler.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from scaler.engine.engine import Engine
    from scaler.engine.messages import Evicted, Refused, Update

__all__ = ["main"]

_UNREAD = 64 * 1024 * 1024  # bytes that the edge may leave unread before this engine gives up on it
