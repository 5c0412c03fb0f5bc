"""The disk under the store fails in every way while the server runs: KEDA notices nothing, and nothing is lost."""

from __future__ import annotations

import re
import resource
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from scaler.decision import Snapshot
from scaler.keda.client import KedaClient, ref
from scaler.store.sqlite import SqliteStore
from scaler.trigger import parse_trigger
from tests.support.defaults import HEADROOM
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

METADATA = {
    "query": "vector(42)",
    "threshold": "10",
    "forecaster": "naive",
    "queryStep": "1s",
    "historyTimeWindow": "1h",
}
LOAD = pytest.approx(HEADROOM * 42)


class Disk:
    """The server's store, seen from outside."""

    def __init__(self, server: Server, keda: KedaClient, prometheus: Any) -> None:
        self.server = server
        self.keda = keda
        metadata = METADATA | {"serverAddress": prometheus.url}
        self.trigger = ref(metadata)
        self.series = parse_trigger(namespace="shop", name="web", metadata=metadata).series_id

    async def answers(self) -> None:
        reading = await self.keda.poll(self.trigger)
        assert reading.ok, reading.text
        assert reading.value == LOAD

    def errors(self) -> float:
        found = re.search(r"^foresail_store_errors_total ([0-9.e+]+)$", self.server.get("/metrics"), re.MULTILINE)
        assert found, "no engine gave its metrics"
        return float(found[1])

    def kept(self) -> tuple[float, np.ndarray]:
        """When the newest snapshot in the file was made, and the series' samples."""
        store = SqliteStore(self.server.store, busy_timeout=30.0)  # opening one writes: it waits for the engine
        try:
            made = [msgspec.msgpack.decode(data, type=Snapshot).made_at for _, data in store.snapshots()]
            return max(made, default=0.0), store.history(self.series, step=1, since=0).values
        finally:
            store.close()

    async def fails(self) -> None:
        """The failure is counted, and does not show in the answers."""
        before = self.errors()

        async def counted() -> bool:
            await self.answers()
            return self.errors() > before

        await until(counted, lambda: "the store's failure is not counted")

    async def heals(self) -> None:
        """What is new reaches the file, and so does what came while it could not be written."""
        before, _ = self.kept()

        async def written() -> bool:
            await self.answers()
            return self.kept()[0] > before

        await until(written, lambda: "nothing new reaches the store")
        _, samples = self.kept()
        assert len(samples)
        assert not np.isnan(samples).any()  # no hole where the store failed

    async def moves_in_after(self, mended: Callable[[], object]) -> None:
        """What a store that could not be opened at the start had in memory is in the file when the disk is mended."""
        await self.answers()
        assert "store.in_memory" in {line["event"] for line in self.server.lines()}
        mended()

        async def opened() -> bool:
            await self.answers()
            return "store.opened" in {line["event"] for line in self.server.lines()}

        await until(opened, lambda: "the file is never opened")
        await self.heals()


async def test_a_store_that_fails_while_the_server_runs_loses_nothing(
    prometheus: Any, make_server: Callable[..., Server]
) -> None:
    server = make_server(prometheus.url.removeprefix("http://"))
    await server.start()
    async with KedaClient(server.grpc) as keda:
        disk = Disk(server, keda, prometheus)
        await disk.answers()
        await disk.heals()  # that is: it works

        # 1. nothing can be written, as on a full or broken disk
        engine = server.engine()
        limit = resource.prlimit(engine, resource.RLIMIT_FSIZE)
        resource.prlimit(engine, resource.RLIMIT_FSIZE, (4096, limit[1]))
        await disk.fails()
        resource.prlimit(engine, resource.RLIMIT_FSIZE, limit)
        await disk.heals()

        # 2. another process holds the file
        with closing(sqlite3.connect(server.store, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await disk.fails()
            other.execute("ROLLBACK")
        await disk.heals()

        # 3. the file's content is overwritten, and the engine dies: the next one sets it aside, and begins a new one
        _overwrite(server)
        server.kill_engine()

        async def set_aside() -> bool:
            await disk.answers()
            return (server.store.parent / "foresail.db.corrupt-1").exists()

        await until(set_aside, lambda: f"a corrupt file is not set aside: {server.log.read_text()[-2000:]}")
        await disk.heals()
        page = server.get("/metrics")
        assert "foresail_store_files_set_aside 1.0" in page
        assert "foresail_engine_restarts_total 1.0" in page
        assert "foresail_bugs_total{" not in page


def _overwrite(server: Server) -> None:
    """Overwrites all but the first page, which says whose file it is."""
    with closing(sqlite3.connect(server.store, timeout=30.0)) as other:
        busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # else all of it is in the log
        assert not busy
    size = server.store.stat().st_size
    assert size > 4096
    with server.store.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB where the first server keeps its data; mounting takes root."""
    directory = tmp_path / "server-0" / "data"
    (tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "foresail-test", tmp_path / "disk"], check=True)
    try:
        directory.parent.mkdir()
        directory.symlink_to(tmp_path / "disk")
        yield tmp_path / "disk"
    finally:
        subprocess.run(["umount", "--lazy", tmp_path / "disk"], check=True)


def _fill(disk: Path) -> Path:
    """Takes all that is left."""
    junk = disk / "junk"
    with junk.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(disk).free < 4096
    return junk


@pytest.mark.chaos
async def test_a_full_disk_is_waited_out(small_disk: Path, prometheus: Any, make_server: Callable[..., Server]) -> None:
    junk = _fill(small_disk)
    server = make_server(prometheus.url.removeprefix("http://"))
    await server.start()
    async with KedaClient(server.grpc) as keda:
        disk = Disk(server, keda, prometheus)

        # 1. at the start
        await disk.moves_in_after(junk.unlink)

        # 2. while it runs
        _, before = disk.kept()
        junk = _fill(small_disk)
        await disk.fails()
        assert any("its disk is full" in line.get("error", "") for line in server.lines())
        junk.unlink()
        await disk.heals()
        _, after = disk.kept()
        assert len(after) > len(before)
        assert "foresail_engine_restarts_total 0.0" in server.get("/metrics")


@pytest.mark.chaos
async def test_a_read_only_disk_at_the_start_is_waited_out(
    small_disk: Path, prometheus: Any, make_server: Callable[..., Server]
) -> None:
    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", small_disk], check=True)

    remount("ro")
    server = make_server(prometheus.url.removeprefix("http://"))
    await server.start()
    async with KedaClient(server.grpc) as keda:
        await Disk(server, keda, prometheus).moves_in_after(lambda: remount("rw"))
    assert "foresail_engine_restarts_total 0.0" in server.get("/metrics")
