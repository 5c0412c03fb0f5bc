"""The SQLite file under the store: opened, checked, mended by replacement, its faults put in words.

Durability: write-ahead log with `synchronous=NORMAL`. What was committed survives any death of the process,
SIGKILL included, because it is in the operating system's hands by then. A power cut may take the commits
since the last checkpoint, never the file's consistency; those samples are fetched again from the source. FULL
would add a disk flush to each commit for no more than that.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeVar

from scaler.errors import StoreError
from scaler.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Damaged", "Reason", "SetAside", "StoreFile"]

log = get_logger(__name__)
T = TypeVar("T")
Reason = Literal["corrupt", "foreign", "newer"]

_WAL_PAGES = 4096  # checkpoint every 16 MB: pages written again and again reach the file once
_WAL_KEPT = 64 * 1024 * 1024  # bytes of log file kept after a large transaction
_CACHE_KIB = 16 * 1024


class _Unusable(Exception):  # never leaves this module: the file must be replaced
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


class Damaged(sqlite3.DatabaseError):
    """The file is readable, but what it says cannot have been written by this program."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that could not be used, and where it lies now."""

    path: Path
    moved_to: Path
    reason: Reason
    detail: str


class StoreFile:
    """Runs transactions on one SQLite file, from any thread, one at a time.

    A file that is corrupt, not ours, or from a newer version is renamed to `NAME.corrupt-1`, `NAME.foreign-1`
    or `NAME.newer-1` beside it (or the next free number), which is logged and kept in `set_aside`, and a new one
    is made: a bad file must not keep a server from serving, and history can be had again from the source.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        schema: str,
        application_id: int,
        version: int,
        upgrades: Mapping[int, str] = MappingProxyType({}),
        busy_timeout: float,
    ) -> None:
        """Opens the file.

        Args:
            path: Made with its directories if absent; None: in memory, gone when closed.
            schema: SQL that fills a new file.
            application_id: SQLite's mark of whose file it is, 32 bits.
            version: Of the schema.
            upgrades: Older version -> SQL that makes the next one of it.
            busy_timeout: Seconds to wait for another process's transaction.

        Raises:
            StoreError: It cannot be opened or made.
        """
        self.set_aside: tuple[SetAside, ...] = ()
        self._path = path
        self._schema = schema
        self._application_id = application_id
        self._version = version
        self._upgrades = upgrades
        self._busy_timeout = busy_timeout
        self._lock = Lock()
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        with self._lock, self._explaining():
            self._opened()

    def run(self, work: Callable[[sqlite3.Connection], T], *, writing: bool) -> T:
        """Does the work in one transaction: all of it or nothing.

        A file found damaged on the way is set aside, and the work done on the new one.

        Raises:
            StoreError: It could not be done; says what to do.
        """
        with self._lock, self._explaining():
            try:
                return _transaction(self._opened(), work, writing=writing)
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
                self._replace("corrupt", str(error))
            return _transaction(self._opened(), work, writing=writing)

    def close(self) -> None:
        """Closes the file; further work raises StoreError."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _opened(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"{self._name} is closed")
        if self._connection is None:
            try:
                self._connection = self._connect()
            except _Unusable as found:
                self._connection = self._replace(found.reason, found.detail)
        return self._connection

    def _replace(self, reason: Reason, detail: str) -> sqlite3.Connection:
        """Sets the file aside and makes a new one."""
        self._disconnect()
        if self._path is not None:
            self._move(self._path, reason, detail)
        try:
            self._connection = self._connect()
        except _Unusable as found:
            raise StoreError(
                f"{self._name} was just made and cannot be used ({found.detail}): check its disk"
            ) from None
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        """The file, opened and checked, filled if it is new.

        Raises:
            _Unusable: It must be replaced.
        """
        if self._path is not None:
            _make_directory(self._path.parent)
        connection = sqlite3.connect(
            ":memory:" if self._path is None else self._path,
            timeout=self._busy_timeout,
            isolation_level=None,  # transactions begin where _transaction says, not where the module guesses
            check_same_thread=False,  # the lock sees to it
        )
        try:
            self._check(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            _transaction(connection, self._fill, writing=True)
        except sqlite3.Error as error:
            connection.close()
            if _is_damage(error):
                raise _Unusable("corrupt", str(error)) from error
            raise
        except _Unusable:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        application_id = _pragma(connection, "application_id")
        version = _pragma(connection, "user_version")
        try:
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # the statement is right, so the file's header is not
                raise _Unusable("corrupt", str(error)) from error
            raise
        if (application_id, version, tables) == (0, 0, 0):
            return  # new, or its making was cut short
        if application_id != self._application_id:
            raise _Unusable("foreign", "it is an SQLite file of another program")
        if version > self._version:
            known = self._version
            raise _Unusable("newer", f"its schema is version {version}, this program knows up to version {known}")
        if (version < self._version and version not in self._upgrades) or tables == 0:
            raise _Unusable("corrupt", f"its schema is version {version} with {tables} entries")

    def _fill(self, connection: sqlite3.Connection) -> None:
        """Makes the tables, or what this version has more than the file, unless another process was quicker."""
        found = _pragma(connection, "user_version")
        if _pragma(connection, "application_id") == 0:
            _execute_all(connection, self._schema)
        elif found >= self._version:
            return
        for version in range(found or self._version, self._version):
            _execute_all(connection, self._upgrades[version])
        # both lie in the file's header, so they are part of the transaction
        connection.execute(f"PRAGMA application_id = {self._application_id}")
        connection.execute(f"PRAGMA user_version = {self._version}")

    def _move(self, path: Path, reason: Reason, detail: str) -> None:
        moved_to = next(
            aside for n in count(1) if not os.path.lexists(aside := path.with_name(f"{path.name}.{reason}-{n}"))
        )
        try:
            # the database first: SQLite drops a log without its database, but replays one beside a new file
            for part in ("", "-wal", "-shm"):
                source = path.with_name(path.name + part)
                if os.path.lexists(source):
                    source.rename(moved_to.with_name(moved_to.name + part))
        except OSError as error:
            raise StoreError(
                f"{self._name} cannot be used ({detail}) nor renamed ({error.strerror}): "
                "move it away, or make its directory writable for this process"
            ) from error
        self.set_aside += (SetAside(path, moved_to, reason, detail),)
        log.warning("store.set_aside", path=path, moved_to=moved_to, reason=reason, detail=detail)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error), closing(self._connection):
                self._connection = None

    @property
    def _name(self) -> str:
        return "the store in memory" if self._path is None else f"the store {self._path}"

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code, without its details
        name = self._name
        if code == sqlite3.SQLITE_FULL:
            return StoreError(
                f"{name} cannot be written, its disk is full: free space there, or lower history_retention"
            )
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}:
            return StoreError(
                f"{name} cannot be written ({error}): make the file and its directory writable for user id "
                f"{os.getuid()}, or set data_dir to a directory that is"
            )
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return StoreError(
                f"{name} has been locked by another process for {self._busy_timeout:g} s: "
                "give each server a data_dir of its own, and end whatever else holds the file"
            )
        if code == sqlite3.SQLITE_IOERR:
            return StoreError(
                f"{name} cannot be read or written ({error}): check its disk; "
                "a network file system without locks will not do, set data_dir to a local one"
            )
        return StoreError(f"{name} failed: {error}")


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(
            f"the directory {directory} of the store cannot be made ({error.strerror}): "
            "set data_dir to a directory that this process may write to"
        ) from error


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], *, writing: bool) -> T:
    # IMMEDIATE: a transaction that will write waits for its turn at the start, where waiting is allowed
    connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # after some faults SQLite has rolled back by itself
            connection.execute("ROLLBACK")
        raise
    return result


def _execute_all(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(statement)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, Damaged) or code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
