"""A look at a store's file that changes nothing: another process may be using it, and a bad file stays where it is."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from scaler.errors import StoreError
from scaler.store.sqlite import APPLICATION_ID, OLDEST_VERSION, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Inspection", "inspect"]

_CHECK_FOR = 5.0  # seconds: a reader at work for long keeps the log of a running server from being emptied
_STEPS = 100_000  # of SQLite's machine between two looks at the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is in a store's file.

    Attributes:
        size: Bytes.
        series: Number of series with a history.
        snapshots: Number of triggers whose last answer is kept.
        problem: Why a server would set the file aside and begin anew; "" if it would not.
        complete: All of the file was checked, within the time.
    """

    size: int
    series: int = 0
    snapshots: int = 0
    problem: str = ""
    complete: bool = True


def inspect(path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> Inspection:
    """Looks into the file.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        size = path.stat().st_size
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5.0)) as connection:
            problem = _foreign(connection)
            if problem:
                return Inspection(size=size, problem=problem)
            series, snapshots = (
                int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 -- our own names
                for table in ("series", "snapshots")
            )
            problem, complete = _damage(connection, give_up_at=monotonic() + _CHECK_FOR, monotonic=monotonic)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return Inspection(size=size, problem=str(error))
        raise StoreError(f"the store {path} cannot be read: {error}") from error
    except OSError as error:
        raise StoreError(f"the store {path} cannot be read: {error.strerror}") from error
    return Inspection(size=size, series=series, snapshots=snapshots, problem=problem, complete=complete)


def _foreign(connection: sqlite3.Connection) -> str:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application_id != APPLICATION_ID:
        return "it is an SQLite file of another program"
    if not OLDEST_VERSION <= version <= VERSION:
        return f"its schema is version {version}, this program's is {VERSION}"
    return ""


def _damage(connection: sqlite3.Connection, *, give_up_at: float, monotonic: Callable[[], float]) -> tuple[str, bool]:
    """What SQLite finds wrong, and whether it has looked at everything."""
    connection.set_progress_handler(lambda: monotonic() > give_up_at, _STEPS)
    try:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_INTERRUPT:
            raise
        return "", False
    return ("" if found == "ok" else found), True
