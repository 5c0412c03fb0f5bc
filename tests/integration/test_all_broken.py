"""`foresail serve` with everything behind it broken: the spec is answered, the value is UNAVAILABLE and says why."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from scaler.keda.client import KedaClient, ref
from scaler.store.sqlite import SqliteStore
from tests.integration.conftest import PATIENCE, free_port, wait_until
from tests.support.defaults import HEADROOM

if TYPE_CHECKING:
    from collections.abc import Iterator

# a fit worker that dies as soon as it is started: Python finds this module before the real one's dependencies
DYING_NUMERICS = "import os, sys\nif 'scaler.engine.worker' in ' '.join(sys.orig_argv): os._exit(3)\n"


SETTINGS = {
    "FORESAIL_OBSERVE_INTERVAL": "1s",
    # the machine may be busy: what is shown is not speed
    "FORESAIL_FIRST_ANSWER_WAIT": "25s",
    "FORESAIL_RPC_DEADLINE": "30s",
}


@dataclass
class Server:
    """`foresail serve` in a process, with a store that cannot be used and a source that is not there."""

    data_dir: Path
    directory: Path
    source: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line.get("event") == event]

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "scaler", "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
                    *("--data-dir", str(self.data_dir), "--allow-address", self.source, "--log-format", "json"),
                ],
                stderr=log,
                env={**os.environ, **SETTINGS, **self.environ},
            )
        wait_until(lambda: bool(self.events("serving")), "the server does not serve")

    @property
    def grpc(self) -> str:
        address: str = self.events("serving")[0]["grpc"]
        return address

    def get(self, path: str) -> str:
        url = f"http://{self.events('serving')[0]['http']}{path}"
        with urllib.request.urlopen(url, timeout=10) as response:
            text: str = response.read().decode()
            return text

    def engine(self) -> int:
        """The engine's process id."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (engine,) = (int(c) for c in children if b"scaler.engine.process" in Path(f"/proc/{c}/cmdline").read_bytes())
        return engine

    def note(self) -> str:
        """Why the one trigger has no forecast."""
        (explained,) = json.loads(self.get("/api/v1/triggers/shop/web/explain"))["triggers"]
        note: str = explained["note"]
        return note

    @property
    def trigger(self) -> Any:
        return ref({"serverAddress": f"http://{self.source}", "query": "sum(load)", "threshold": "10"})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    # a directory that cannot be made: a part of its path is a file; permissions would not stop root
    (tmp_path / "file").write_text("in the way")
    one = Server(tmp_path / "file" / "data", tmp_path)
    numerics = tmp_path / "broken"
    numerics.mkdir()
    (numerics / "sitecustomize.py").write_text(DYING_NUMERICS)
    one.environ["PYTHONPATH"] = os.pathsep.join([str(numerics), os.environ.get("PYTHONPATH", "")])
    yield one
    if one.process is not None:
        one.process.kill()
        one.process.wait(PATIENCE)


async def _refused(server: Server, client: KedaClient) -> str:
    """The text of a GetMetrics once the engine has asked the source."""
    while True:
        reading = await client.poll(server.trigger)
        assert reading.code is grpc.StatusCode.UNAVAILABLE
        if "has not answered within" not in reading.text and "is being started" not in reading.text:
            return reading.text


async def test_the_spec_is_answered_with_source_store_and_fit_pool_broken(server: Server) -> None:
    await asyncio.to_thread(server.start)
    async with KedaClient(server.grpc) as client:
        (spec,) = await client.specs_only([server.trigger])
        assert spec.targetSizeFloat == 10.0
        text = await _refused(server, client)
        assert text == (
            f"the load is not known yet: source http://{server.source} cannot be reached: "
            "connection refused; tried 4 times"
        )
        (spec,) = await client.specs_only([server.trigger])
        assert spec.targetSizeFloat == 10.0
    (in_memory,) = server.events("store.in_memory")
    assert in_memory["reason"] == (
        f"the directory {server.data_dir} of the store cannot be made (Not a directory): "
        "set data_dir to a directory that this process may write to"
    )
    assert in_memory["kept"] == (
        "in memory, until the file can be opened, tried every 30 s: a restart before forgets it"
    )
    assert json.loads(server.get("/readyz"))["ready"] is True
    assert "foresail_engine_restarts_total 0.0" in server.get("/metrics")  # no crash loop
    assert server.process is not None
    assert server.process.poll() is None


async def test_the_load_is_served_with_store_and_fit_pool_broken(server: Server, prometheus_server: Any) -> None:
    prometheus = prometheus_server()
    server.source = prometheus.url.removeprefix("http://")
    await asyncio.to_thread(server.start)
    trigger = ref(
        {"serverAddress": prometheus.url, "query": "vector(40)", "threshold": "10", "historyTimeWindow": "2d"}
    )
    async with KedaClient(server.grpc) as client:
        reading = await client.poll(trigger)
        assert reading.ok, reading.text
        assert reading.value == pytest.approx(HEADROOM * 40)
        died = "its worker died (exit 3)"
        await asyncio.to_thread(wait_until, lambda: died in server.note(), "no fit worker has died")
        for _ in range(5):
            assert (await client.poll(trigger)).ok
    assert "foresail_engine_restarts_total 0.0" in server.get("/metrics")


async def test_a_corrupt_store_is_set_aside(server: Server) -> None:
    server.data_dir = server.directory / "data"
    server.data_dir.mkdir()
    (server.data_dir / "foresail.db").write_bytes(b"not a database, or not any more" * 1000)
    await asyncio.to_thread(server.start)
    async with KedaClient(server.grpc) as client:
        text = await _refused(server, client)
        assert server.source in text
    assert server.events("store.set_aside")
    assert not server.events("store.in_memory")
    assert (server.data_dir / "foresail.db.corrupt-1").exists()
    assert "foresail_engine_restarts_total 0.0" in server.get("/metrics")


async def test_a_killed_edge_takes_its_engine_along_and_frees_the_store(server: Server) -> None:
    server.data_dir = server.directory / "data"
    await asyncio.to_thread(server.start)
    async with KedaClient(server.grpc) as client:
        await _refused(server, client)
    engine = server.engine()
    assert server.process is not None
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(PATIENCE)
    await asyncio.to_thread(wait_until, lambda: not _runs(engine), "the engine outlives its edge")
    store = SqliteStore(server.data_dir / "foresail.db", busy_timeout=0.0)
    assert store.set_aside == ()
    store.forget(samples_before=0, snapshots_before=0.0, most_decisions=1)  # a write: nobody holds the file
    store.close()


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
