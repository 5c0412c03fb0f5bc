from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaler.errors import NoData, ResponseMalformed, StoreError
from scaler.store.sqlite import SqliteStore
from scaler.training.histories import from_folder, from_store
from tests.support.networks import daily_load

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_gives_its_series_by_name_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.csv").write_text("time,value\n0,1\n60,2\n120,\n180,4\n")
    (tmp_path / "notes.txt").write_text("not a history")
    found = from_folder(tmp_path)
    assert [name for name, _ in found] == ["a", "b"]
    assert (found[0][1].step, found[0][1].known) == (60, 3)


def test_a_file_that_is_no_history_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("0,1\n60,many\n")
    with pytest.raises(ResponseMalformed, match=r"bad.csv, line 2, column 2 \(value\): 'many' is no number"):
        from_folder(tmp_path)


def test_a_store_gives_all_its_series_while_its_server_writes(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "foresail.db")
    minutes, fives = daily_load(1.0, 1, days=1, step=60), daily_load(9.0, 2, days=1, step=300)
    store.append([("web", minutes), ("web", fives), ("api", minutes)])
    found = from_store(tmp_path / "foresail.db", since=minutes.start + 3600)
    store.close()
    assert [name for name, _ in found] == ["api@60", "web@60", "web@300"]
    assert dict(found)["web@60"] == minutes.last(1440 - 60)
    assert dict(found)["web@300"] == fives.last(288 - 12)


def test_a_store_that_is_not_there_or_empty_is_told(tmp_path: Path) -> None:
    path = tmp_path / "foresail.db"
    with pytest.raises(StoreError, match=rf"the store {path} cannot be read: unable to open database file"):
        from_store(path, since=0)
    SqliteStore(path).close()
    with pytest.raises(NoData, match=rf"the store {path} holds no history yet"):
        from_store(path, since=0)
    path.write_bytes(b"hello, I am a text" * 100)
    with pytest.raises(StoreError, match=rf"the store {path} cannot be read: file is not a database"):
        from_store(path, since=0)
