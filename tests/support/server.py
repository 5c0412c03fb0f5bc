"""`foresail serve` as a user starts it: a real process, with real children."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PATIENCE", "Server", "until"]

PATIENCE = 90.0  # seconds for a process to come up, to go down, or to notice something


_SETTINGS = {
    "observe_interval": "1s",
    "forecast_max_age": "90s",
    "log_format": "json",
    # the machine may be busy: what is shown is not speed
    "first_answer_wait": "25s",
    "rpc_deadline": "30s",
}


class Server:
    """`foresail serve` in a directory of its own.

    Args:
        directory: Where its settings, data and log lie.
        prometheus: Address that triggers may give.
        settings: Over those that suit a test, by key; texts.
    """

    def __init__(self, directory: Path, prometheus: str, **settings: str) -> None:
        self._directory = directory
        self.settings = _SETTINGS | settings
        self.allow = prometheus.removeprefix("http://")  # what triggers may name
        self._process: subprocess.Popen[bytes] | None = None
        self.more_settings = ""  # tables, behind the keys
        self.environment: dict[str, str] = {}
        self.prometheus = prometheus
        self.grpc = ""
        self.http = ""

    @property
    def store(self) -> Path:
        return self._directory / "data" / "foresail.db"

    @property
    def log(self) -> Path:
        return self._directory / "server.log"

    async def start(self) -> None:
        self.log.write_bytes(b"")
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.settings.items()]
        (self._directory / "foresail.toml").write_text("\n".join(lines) + "\n" + self.more_settings)
        await asyncio.to_thread(self._spawn)
        await until(self._serving, lambda: f"the server does not serve: {self.log.read_text()[-3000:]}")

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "scaler", "serve"),
                    *("--config", str(self._directory / "foresail.toml")),
                    *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
                    *("--data-dir", str(self._directory / "data"), "--allow-address", self.allow),
                ],
                stderr=log,
                env={**os.environ, **self.environment},
            )

    async def _serving(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the server has ended: {self.log.read_text()[-3000:]}"
        for line in self.lines():
            if line.get("event") == "serving":
                self.grpc, self.http = line["grpc"], f"http://{line['http']}"
                return True
        return False

    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.http}{path}", timeout=10) as response:  # noqa: S310 -- our own server
            text: str = response.read().decode()
            return text

    def explain(self) -> dict[str, Any]:
        """Why the one trigger of shop/web answers what it does."""
        (explained,) = json.loads(self.get("/api/v1/triggers/shop/web/explain"))["triggers"]
        found: dict[str, Any] = explained
        return found

    def kill(self) -> None:
        """What an out-of-memory kill does. The engine, a child, must notice by itself."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE)
            self._process = None

    @property
    def pid(self) -> int:
        """The edge's process id."""
        assert self._process is not None
        return self._process.pid

    def engine(self) -> int:
        """The engine's process id."""
        (engine,) = _children(self.pid, "scaler.engine.process")
        return engine

    def workers(self) -> list[int]:
        """The process ids of the fit workers."""
        return _children(self.engine(), "scaler.engine.worker")

    def kill_engine(self) -> None:
        self.signal_engine(signal.SIGKILL)

    def signal_engine(self, number: signal.Signals) -> None:
        os.kill(self.engine(), number)

    def terminate(self) -> int:
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(PATIENCE)
        self._process = None
        return code


def _children(parent: int, module: str) -> list[int]:
    """The children of a process that run this module."""
    found = []
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if module.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


async def until(condition: Callable[[], Any], failure: Callable[[], str]) -> None:
    """Asks again until the condition holds, within a bounded time."""
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, failure()
        await asyncio.sleep(0.1)
