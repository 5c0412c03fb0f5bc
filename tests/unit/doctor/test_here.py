"""What a server needs of its machine."""

from __future__ import annotations

import os
import sqlite3
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.doctor.check import Finding, Verdict
from scaler.doctor.here import machine_checks
from scaler.settings import Settings
from scaler.store.inspect import inspect
from scaler.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GIB = 1 << 30


async def ask(name: str, data_dir: Path, *, free: int = 100 * GIB, worker: Sequence[str] | None = None) -> Finding:
    checks = machine_checks("here", Settings(data_dir=data_dir), free=lambda _: free, worker=worker)
    (found,) = [check for check in checks if check.name == name]
    return await found.ask()


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_a_directory_that_can_be_written(tmp_path: Path) -> None:
    assert await ask("data directory", tmp_path) == Finding(Verdict.OK, f"{tmp_path} can be written")
    absent = tmp_path / "a" / "b"
    assert await ask("data directory", absent) == Finding(Verdict.OK, f"{absent} is not there yet and can be made")
    assert names(tmp_path) == []  # nothing was made


async def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert await ask("data directory", tmp_path / "file") == Finding(
        Verdict.FAIL, f"{tmp_path / 'file'} is not a directory", "set data_dir to one"
    )


async def test_a_directory_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> object:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("scaler.doctor.here.tempfile.TemporaryFile", refuse)
    found = await ask("data directory", tmp_path)
    assert (found.verdict, found.found) == (Verdict.FAIL, f"{tmp_path} cannot be written: Read-only file system")
    assert found.mend == (
        f"make it writable for user id {os.getuid()}, or set data_dir to a directory that is; in Kubernetes, a mounted "
        "volume and securityContext.fsGroup do that"
    )


@pytest.mark.parametrize(
    ("free", "verdict", "found"),
    [
        (100 * GIB, Verdict.OK, "100.0 GiB free: the histories of about 213,044 series"),
        (GIB // 2, Verdict.WARN, "512 MiB free: the histories of about 1,065 series"),
        (GIB // 32, Verdict.FAIL, "32 MiB free: the histories of about 66 series"),
    ],
)
async def test_room(free: int, verdict: Verdict, found: str, tmp_path: Path) -> None:
    seen = await ask("free space", tmp_path, free=free)
    assert (seen.verdict, seen.found) == (verdict, f"{found}, one sample a minute for 35d")


async def test_a_store_in_use_is_read_and_not_disturbed(tmp_path: Path) -> None:
    assert (await ask("store", tmp_path)).found == (
        f"{tmp_path}/foresail.db is not there yet: it is made at the first start"
    )
    store = SqliteStore(tmp_path / "foresail.db")
    store.append([("a", TimeSeries(0, 60, np.arange(100.0))), ("b", TimeSeries(0, 60, np.arange(3.0)))])
    store.put_snapshots([("t", b"x")], now=1.0)
    found = await ask("store", tmp_path)
    assert found.verdict is Verdict.OK
    assert found.found.startswith(f"{tmp_path}/foresail.db holds 2 series and 1 last answer in ")
    store.append([("a", TimeSeries(6000, 60, np.arange(100.0)))])  # the server goes on
    assert inspect(tmp_path / "foresail.db").series == 2
    store.close()


async def test_a_store_that_would_be_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "foresail.db"
    path.write_bytes(b"not a database, whatever its name says" * 100)
    mend = (
        "the server puts it aside at its start, under a new name beside it, and fetches the history again; move it "
        "away yourself if you want to keep it"
    )
    assert await ask("store", tmp_path) == Finding(Verdict.WARN, f"{path} cannot be used: file is not a database", mend)
    assert names(tmp_path) == ["foresail.db"]  # it stays where it is
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert (await ask("store", tmp_path)).found == f"{path} cannot be used: it is an SQLite file of another program"


async def test_a_store_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "foresail.db"
    SqliteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert inspect(path).problem == "its schema is version 99, this program's is 2"


async def test_a_damaged_store(tmp_path: Path) -> None:
    path = tmp_path / "foresail.db"
    store = SqliteStore(path)
    for name in range(200):
        store.append([(f"series-{name}", TimeSeries(0, 60, np.arange(60.0 + name)))])
    store.close()
    data = bytearray(path.read_bytes())
    page = int.from_bytes(data[16:18], "big")
    data[3 * page : -page] = b"\xa5" * (len(data) - 4 * page)
    path.write_bytes(data)
    found = await ask("store", tmp_path)
    assert found.verdict is Verdict.WARN
    assert found.found.startswith(f"{path} cannot be used: ")


async def test_a_large_store_is_not_checked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "foresail.db"
    store = SqliteStore(path)
    store.append([(f"series-{name}", TimeSeries(0, 60, np.arange(600.0))) for name in range(200)])
    store.close()
    monkeypatch.setattr("scaler.store.inspect._STEPS", 1)
    ticks = iter(float(n * 10) for n in range(1000))
    seen = inspect(path, monotonic=lambda: next(ticks))
    assert (seen.complete, seen.problem, seen.series) == (False, "", 200)


async def test_a_worker_fits(tmp_path: Path) -> None:
    assert await ask("fit worker", tmp_path) == Finding(Verdict.OK, "a worker started and fitted naive to 240 samples")


async def test_a_worker_that_dies(tmp_path: Path) -> None:
    found = await ask("fit worker", tmp_path, worker=[sys.executable, "-c", "raise SystemExit(3)"])
    assert found.verdict is Verdict.FAIL
    assert found.found.startswith("the fit was lost: naive: its worker ")


async def test_no_worker_at_all(tmp_path: Path) -> None:
    found = await ask("fit worker", tmp_path, worker=["/nowhere/python"])
    assert found.verdict is Verdict.FAIL
    assert found.found.startswith("the fit was lost: no fit worker: ")
