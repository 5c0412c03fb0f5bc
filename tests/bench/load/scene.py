"""The processes of one run: a source, a bare gRPC server, Foresail with its engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from tests.bench.load.fleet import SOURCE
from tests.bench.load.machine import children

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["Foresail", "Helper", "foresail", "gone", "helper"]

_PIPE = asyncio.subprocess.PIPE
_PATIENCE = 60.0  # seconds for a process to come up or go


@dataclass(frozen=True, slots=True)
class Helper:
    """A process of ours that prints its port."""

    pid: int
    port: int


@contextlib.asynccontextmanager
async def helper(module: str, *arguments: str) -> AsyncIterator[Helper]:
    """`tests.bench.load.MODULE`, until the context ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.bench.load.{module}", *arguments, stdin=_PIPE, stdout=_PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Helper(process.pid, int(await process.stdout.readline()))
    finally:
        process.stdin.close()
        await gone(process)


@dataclass(frozen=True, slots=True)
class Foresail:
    """A running server.

    Attributes:
        pid: Of the edge.
        port: Where it takes calls.
        http: Where its metrics are.
        ready_after: Seconds from its start to its listening.
    """

    pid: int
    port: int
    http: str
    ready_after: float

    @property
    def engine(self) -> int:
        """The number of the engine's process."""
        return next(pid for pid, line in children(self.pid).items() if "scaler.engine.process" in line)

    @property
    def workers(self) -> list[int]:
        """The numbers of the fit workers' processes."""
        return [pid for pid, line in children(self.engine).items() if "scaler.engine.worker" in line]

    async def metrics(self) -> str:
        """The page of metrics, with the engine's part."""
        async with httpx.AsyncClient(timeout=60.0) as client, asyncio.timeout(_PATIENCE):
            page = await client.get(f"{self.http}/metrics")
            while "foresail_engine_up 1.0" not in page.text:
                await asyncio.sleep(0.1)
                page = await client.get(f"{self.http}/metrics")
            return page.text


@contextlib.asynccontextmanager
async def foresail(directory: Path, *, source_port: int, settings: dict[str, str]) -> AsyncIterator[Foresail]:
    """`foresail serve`, until the context ends.

    Args:
        directory: Its data directory.
        source_port: Of the Prometheus that the fleet's triggers name.
        settings: Further settings, as their environment variables.
    """
    config = directory / "foresail.toml"
    config.write_text(f'[sources.{SOURCE}]\naddress = "http://127.0.0.1:{source_port}"\n')
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
        *("--data-dir", str(directory), "--log-format", "json"),
        *("--config", str(config)),
        env={**os.environ, **settings},
        stderr=_PIPE,
        stdout=_PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines: asyncio.Queue[str] = asyncio.Queue()
    readers = [asyncio.create_task(_read(stream, lines)) for stream in (process.stdout, process.stderr)]
    try:
        async with asyncio.timeout(_PATIENCE):
            while (said := json.loads(await lines.get())).get("event") != "serving":
                pass
        port = int(said["grpc"].rpartition(":")[2])
        yield Foresail(process.pid, port, f"http://{said['http']}", time.monotonic() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        await gone(process)
        for reader in readers:
            await reader
        while not lines.empty():
            line = json.loads(lines.get_nowait())
            if line["level"] in {"warning", "error"}:
                print("foresail:", line, file=sys.stderr)


async def _read(stream: asyncio.StreamReader, lines: asyncio.Queue[str]) -> None:
    while line := (await stream.readline()).decode():
        if line.startswith("{"):
            lines.put_nowait(line)
        else:
            print("foresail:", line, end="", file=sys.stderr)


async def gone(process: Process) -> None:
    """Returns when the process has ended, as it was asked to; kills it and raises TimeoutError if it does not."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
