"""The SQLite store: what goes in comes out, and every fault of its file has a designed end."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.errors import StoreError
from scaler.store.base import Store, StoredModel
from scaler.store.sqlite import BLOCK, SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAN = np.nan


def series(start: int, *values: float, step: int = 60) -> TimeSeries:
    return TimeSeries(start, step, np.array(values, dtype=np.float64))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "foresail.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path, busy_timeout=0.0)
    yield opened
    opened.close()


def test_it_is_a_store(store: SqliteStore) -> None:
    typed: Store = store
    assert typed.history("a", step=60, since=0) == series(0)


def test_samples_come_back_over_block_borders(store: SqliteStore) -> None:
    values = np.arange(1.0, 10 * BLOCK)
    store.append([("a", series(6_000_000, *values))])
    assert store.history("a", step=60, since=0) == series(6_000_000, *values)
    assert store.history("a", step=60, since=6_000_000 + 60 * 100) == series(6_006_000, *values[100:])
    assert store.history("a", step=60, since=6_000_000 + 60 * 100 - 59) == series(6_006_000, *values[100:])


def test_a_known_sample_is_replaced_and_nan_never_overwrites_one(store: SqliteStore) -> None:
    store.append([("a", series(600, 1.0, 2.0, 3.0))])
    store.append([("a", series(600, NAN, 20.0, NAN, 40.0))])
    assert store.history("a", step=60, since=0) == series(600, 1.0, 20.0, 3.0, 40.0)


def test_late_samples_join_old_blocks(store: SqliteStore) -> None:
    store.append([("a", series(60 * 1000, 5.0))])
    store.append([("a", series(60 * 500, 1.0, NAN, 2.0))])
    store.append([("a", series(60 * 501, 7.0))])
    history = store.history("a", step=60, since=0)
    assert (history.start, history.end, history.known) == (60 * 500, 60 * 1000, 4)
    assert list(history.values[:3]) == [1.0, 7.0, 2.0]


def test_gaps_are_nan_and_the_ends_are_known(store: SqliteStore) -> None:
    store.append([("a", series(600, NAN, 1.0, NAN, 3.0, NAN))])
    assert store.history("a", step=60, since=0) == series(660, 1.0, NAN, 3.0)
    assert store.history("a", step=60, since=700) == series(780, 3.0)


def test_nothing_known_is_an_empty_series_on_the_grid(store: SqliteStore) -> None:
    store.append([("a", series(600, NAN, NAN)), ("b", series(600)), ("c", series(600, 1.0))])
    assert store.history("a", step=60, since=601) == series(660)
    assert store.history("b", step=60, since=601) == series(660)
    assert store.history("c", step=60, since=601) == series(660)
    assert store.history("c", step=60, since=10**6) == series(1_000_020)


def test_the_step_is_part_of_the_identity(store: SqliteStore) -> None:
    store.append([("a", series(600, 1.0)), ("a", series(600, 2.0, step=300))])
    assert store.history("a", step=60, since=0) == series(600, 1.0)
    assert store.history("a", step=300, since=0) == series(600, 2.0, step=300)


def test_a_batch_is_added_as_a_whole_or_not_at_all(store: SqliteStore) -> None:
    with pytest.raises(AttributeError):
        store.append([("a", series(600, 1.0)), ("b", None)])  # type: ignore[list-item]  # the fault
    assert len(store.history("a", step=60, since=0)) == 0
    store.append([("a", series(660, 2.0))])
    assert store.history("a", step=60, since=0) == series(660, 2.0)


def test_the_newest_model_of_each_forecaster_is_kept(store: SqliteStore) -> None:
    older = StoredModel("ets", b"older", train_end=600, fitted_at=1000.5)
    newer = StoredModel("ets", b"newer", train_end=660, fitted_at=2000.5)
    other = StoredModel("naive", b"", train_end=600, fitted_at=1.0)
    for model in (older, newer, older, other):
        store.put_model("a", model)
    assert store.model("a", "ets") == newer
    assert store.model("a", "naive") == other
    assert store.model("b", "ets") is None


def test_snapshots_come_most_recently_written_first(store: SqliteStore) -> None:
    store.put_snapshots([("one", b"1"), ("two", b"2")], now=10.0)
    store.put_snapshots([("three", b"3"), ("one", b"11")], now=20.0)
    assert list(store.snapshots()) == [("one", b"11"), ("three", b"3"), ("two", b"2")]


def test_forgetting_takes_what_is_past_its_retention(store: SqliteStore) -> None:
    values = np.arange(1.0, 5 * BLOCK + 1)
    store.append([("a", series(6000, *values)), ("gone", series(6000, 1.0))])
    store.put_model("a", StoredModel("ets", b"", train_end=6000, fitted_at=1.0))
    store.put_model("a", StoredModel("naive", b"", train_end=60_000, fitted_at=1.0))
    store.put_snapshots([("old", b"")], now=10.0)
    store.put_snapshots([("young", b"")], now=20.0)
    before = 6000 + 60 * 2 * BLOCK
    store.forget(samples_before=before, snapshots_before=15.0, most_decisions=9)
    kept = store.history("a", step=60, since=0)
    assert before - 60 * BLOCK < kept.start <= before
    assert np.array_equal(kept.values, values[-len(kept) :])
    assert kept.end == 6000 + 60 * (5 * BLOCK - 1)
    assert len(store.history("gone", step=60, since=0)) == 0
    assert store.model("a", "ets") is None
    assert store.model("a", "naive") is not None
    assert list(store.snapshots()) == [("young", b"")]


def test_the_log_of_a_scaled_object_comes_in_the_order_of_time(store: SqliteStore) -> None:
    rows = [("shop/web/a", 3.0, b"3"), ("shop/web/b", 2.0, b"2"), ("shop/web/a", 1.0, b"1")]
    store.add_decisions(rows)
    store.add_decisions([("shop/web-2/a", 2.5, b"other"), ("shop/we/a", 2.5, b"other"), ("shop/web/a", 3.0, b"again")])
    assert store.decisions("shop/web/", since=0.0, most=9) == [
        ("shop/web/a", 1.0, b"1"),
        ("shop/web/b", 2.0, b"2"),
        ("shop/web/a", 3.0, b"again"),
    ]
    assert store.decisions("shop/web/", since=2.0, most=9) == [("shop/web/b", 2.0, b"2"), ("shop/web/a", 3.0, b"again")]
    assert store.decisions("shop/web/", since=0.0, most=1) == [("shop/web/a", 3.0, b"again")]
    assert store.decisions("media/", since=0.0, most=9) == []


def test_the_log_keeps_the_newest_of_each_trigger_within_its_retention(store: SqliteStore) -> None:
    noisy = [("shop/noisy/a", float(at), b"") for at in range(100)]
    store.add_decisions([*noisy, ("shop/quiet/a", 1.0, b""), ("shop/quiet/a", 60.0, b"")])

    def left(name: str) -> list[float]:
        return [at for _, at, _ in store.decisions(f"shop/{name}/", since=0.0, most=1000)]

    store.forget(samples_before=0, snapshots_before=50.0, most_decisions=1000)
    assert (left("noisy"), left("quiet")) == ([float(at) for at in range(50, 100)], [60.0])
    store.forget(samples_before=0, snapshots_before=50.0, most_decisions=3)
    assert (left("noisy"), left("quiet")) == ([97.0, 98.0, 99.0], [60.0])
    store.forget(samples_before=0, snapshots_before=50.0, most_decisions=0)
    assert (left("noisy"), left("quiet")) == ([], [])


def test_many_triggers_share_the_room_of_the_log(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaler.store.decisions.MOST_ROWS", 10)
    store.add_decisions([(f"shop/web/{name}", float(at), b"") for name in "abc" for at in range(20)])
    store.forget(samples_before=0, snapshots_before=0.0, most_decisions=1000)
    assert [at for _, at, _ in store.decisions("shop/web/", since=0.0, most=1000)] == [17.0] * 3 + [18.0] * 3 + [
        19.0
    ] * 3


def test_a_file_of_the_version_before_is_upgraded_with_all_that_is_in_it(path: Path, store: SqliteStore) -> None:
    store.append([("a", series(600, 1.0, 2.0))])
    store.put_snapshots([("t", b"s")], now=1.0)
    store.close()
    with sqlite3.connect(path) as older:
        older.execute("DROP TABLE decisions")
        older.execute("PRAGMA user_version = 1")
    older.close()
    for _ in range(2):
        upgraded = SqliteStore(path)
        assert upgraded.history("a", step=60, since=0) == series(600, 1.0, 2.0)
        assert list(upgraded.snapshots()) == [("t", b"s")]
        upgraded.add_decisions([("shop/web/a", 1.0, b"1")])
        assert upgraded.decisions("shop/web/", since=0.0, most=9) == [("shop/web/a", 1.0, b"1")]
        assert upgraded.set_aside == ()
        upgraded.close()
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (2,)
    file.close()


def test_all_is_there_after_reopening(path: Path, store: SqliteStore) -> None:
    store.append([("a", series(600, 1.0, 2.0))])
    store.put_model("a", StoredModel("ets", b"m", train_end=660, fitted_at=1.0))
    store.put_snapshots([("t", b"s")], now=1.0)
    store.close()
    again = SqliteStore(path)
    assert again.history("a", step=60, since=0) == series(600, 1.0, 2.0)
    assert again.model("a", "ets") == StoredModel("ets", b"m", train_end=660, fitted_at=1.0)
    assert list(again.snapshots()) == [("t", b"s")]
    assert again.set_aside == ()
    again.close()


def test_the_engine_and_a_reader_share_the_file(path: Path, store: SqliteStore) -> None:
    reader = SqliteStore(path)
    store.append([("a", series(600, 1.0))])
    assert reader.history("a", step=60, since=0) == series(600, 1.0)
    reader.close()


def test_in_memory_it_is_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    memory = SqliteStore(None)
    memory.append([("a", series(600, 1.0))])
    assert memory.history("a", step=60, since=0) == series(600, 1.0)
    memory.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match=r"^the store in memory is closed$"):
        memory.snapshots()


def test_closing_twice_is_closing(store: SqliteStore, path: Path) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError) as caught:
        store.append([])
    assert str(caught.value) == f"the store {path} is closed"


# --- files that cannot be used -----------------------------------------------------------------------------


def _foreign(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE cookies (name TEXT)")
    other.close()


def _newer(path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 3")
    other.close()


def _half(path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 0")
    other.close()


def _text(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not a database at all, but long enough to be taken for one\n" * 100)


def _torn_header(path: Path) -> None:
    SqliteStore(path).close()
    with path.open("r+b") as file:
        file.write(b"\0" * 512)


@pytest.mark.parametrize(
    ("spoil", "reason", "detail"),
    [
        (_foreign, "foreign", "it is an SQLite file of another program"),
        (_newer, "newer", "its schema is version 3, this program knows up to version 2"),
        (_half, "corrupt", "its schema is version 0 with 8 entries"),
        (_text, "corrupt", "file is not a database"),
        (_torn_header, "corrupt", "file is not a database"),
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside_and_reported(
    path: Path, caplog: pytest.LogCaptureFixture, spoil: object, reason: str, detail: str
) -> None:
    assert callable(spoil)
    spoil(path)
    content = path.read_bytes()
    for _ in range(2):  # the second opening finds a good file
        store = SqliteStore(path)
        store.append([("a", series(600, 1.0))])
        store.close()
    moved_to = path.with_name(f"foresail.db.{reason}-1")
    assert moved_to.read_bytes() == content
    assert [record.getMessage() for record in caplog.records] == ["store.set_aside"]
    fields = vars(caplog.records[0])["foresail_fields"]
    assert fields == {"path": path, "moved_to": moved_to, "reason": reason, "detail": detail}


def test_files_set_aside_do_not_overwrite_each_other(path: Path) -> None:
    _text(path)
    for n in (1, 2, 3):
        path.write_text(f"junk {n} " * 1000)
        store = SqliteStore(path)
        moved_to = path.with_name(f"foresail.db.corrupt-{n}")
        assert [report.moved_to for report in store.set_aside] == [moved_to]
        store.close()
    assert path.with_name("foresail.db.corrupt-2").read_text().startswith("junk 2")


def test_damage_found_while_running_is_mended_while_running(path: Path, store: SqliteStore) -> None:
    store.append([(f"series-{n}", series(6000, *np.arange(1.0, 500.0))) for n in range(50)])
    store.close()
    with path.open("r+b") as file:  # the first page, with the header, stays good
        file.seek(4096)
        file.write(os.urandom(1) * (path.stat().st_size - 4096))
    store = SqliteStore(path)
    assert list(store.set_aside) == []
    store.append([("series-1", series(6000, 1.0))])
    assert store.history("series-1", step=60, since=0) == series(6000, 1.0)
    assert [(report.path, report.reason) for report in store.set_aside] == [(path, "corrupt")]
    store.close()


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        (b"\0", "a block of 1 bytes, not 480"),
        (np.full(BLOCK, np.inf).tobytes(), "a block with an infinite sample"),
    ],
)
def test_blocks_that_were_never_written_by_us_are_damage(
    path: Path, store: SqliteStore, damage: bytes, detail: str
) -> None:
    store.append([("a", series(6000, *np.arange(1.0, 500.0)))])
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA ignore_check_constraints = 1")
        other.execute("UPDATE blocks SET data = ?", (damage,))
    other.close()
    assert len(store.history("a", step=60, since=0)) == 0
    assert [report.detail for report in store.set_aside] == [detail]


def test_the_log_of_a_file_goes_with_it(path: Path, store: SqliteStore) -> None:
    store.append([("a", series(600, 1.0))])
    store.close()
    store = SqliteStore(path)
    store.append([("b", series(600, 1.0))])
    copy = path.with_name("copy.db")  # as a SIGKILL leaves it: a file and the log of what is not yet in it
    copy.write_bytes(path.read_bytes()[:4096] + b"\xff" * 65536)
    log = path.with_name("foresail.db-wal").read_bytes()
    copy.with_name("copy.db-wal").write_bytes(log)
    store.close()
    other = SqliteStore(copy)
    assert len(other.history("a", step=60, since=0)) == 0
    other.close()
    assert [report.moved_to.name for report in other.set_aside] == ["copy.db.corrupt-1"]
    SqliteStore(copy).close()


def test_an_empty_file_is_a_new_one(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    store = SqliteStore(path)
    store.append([("a", series(600, 1.0))])
    assert store.set_aside == ()
    store.close()


# --- faults that are told ----------------------------------------------------------------------------------


def test_a_full_disk_is_told_and_forgotten_when_there_is_room(path: Path, store: SqliteStore) -> None:
    store.append([("a", series(600, 1.0))])
    connection = store._file._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size instead: no page more
    with pytest.raises(StoreError) as caught:
        store.append([("a", series(660, *np.arange(10_000.0)))])
    assert str(caught.value) == (
        f"the store {path} cannot be written, its disk is full: free space there, or lower history_retention"
    )
    assert store.history("a", step=60, since=0) == series(600, 1.0)
    connection.execute("PRAGMA max_page_count = 1000000")
    store.append([("a", series(660, 2.0))])
    assert store.history("a", step=60, since=0) == series(600, 1.0, 2.0)


def test_a_read_only_file_is_told(path: Path, store: SqliteStore) -> None:
    connection = store._file._connection
    assert connection is not None
    connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError) as caught:
        store.append([("a", series(600, 1.0))])
    assert str(caught.value) == (
        f"the store {path} cannot be written (attempt to write a readonly database): make the file and its "
        f"directory writable for user id {os.getuid()}, or set data_dir to a directory that is"
    )


def test_a_locked_file_is_told_and_used_once_free(path: Path, store: SqliteStore) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:
        store.append([("a", series(600, 1.0))])
    assert str(caught.value) == (
        f"the store {path} has been locked by another process for 0 s: "
        "give each server a data_dir of its own, and end whatever else holds the file"
    )
    other.execute("ROLLBACK")
    other.close()
    store.append([("a", series(600, 1.0))])
    assert store.history("a", step=60, since=0) == series(600, 1.0)


def test_a_directory_in_its_place_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        SqliteStore(path)
    assert str(caught.value) == (
        f"the store {path} cannot be written (unable to open database file): make the file and its "
        f"directory writable for user id {os.getuid()}, or set data_dir to a directory that is"
    )


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        SqliteStore(tmp_path / "file" / "data" / "foresail.db")
    assert str(caught.value) == (
        f"the directory {tmp_path / 'file' / 'data'} of the store cannot be made (Not a directory): "
        "set data_dir to a directory that this process may write to"
    )


def test_a_file_that_can_neither_be_used_nor_renamed_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _text(path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "rename", refuse)
    with pytest.raises(StoreError) as caught:
        SqliteStore(path)
    assert str(caught.value) == (
        f"the store {path} cannot be used (file is not a database) nor renamed (Permission denied): "
        "move it away, or make its directory writable for this process"
    )


def test_input_and_output_errors_and_others_are_told(path: Path, store: SqliteStore) -> None:
    def failing(code: int, text: str) -> sqlite3.OperationalError:
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code
        return error

    def work(error: sqlite3.Error) -> str:
        def fail(_: sqlite3.Connection) -> None:
            raise error

        with pytest.raises(StoreError) as caught:
            store._file.run(fail, writing=True)
        return str(caught.value)

    assert work(failing(sqlite3.SQLITE_IOERR_WRITE, "disk I/O error")) == (
        f"the store {path} cannot be read or written (disk I/O error): check its disk; "
        "a network file system without locks will not do, set data_dir to a local one"
    )
    assert work(failing(sqlite3.SQLITE_ERROR, "no such function: f")) == f"the store {path} failed: no such function: f"
    assert work(failing(sqlite3.SQLITE_CORRUPT, "twice")) == f"the store {path} failed: twice"
