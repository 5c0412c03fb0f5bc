"""The decision log in the SQLite file: each trigger's changes of the served value, in the order of time.

Rows of one trigger lie together, so that reading one ScaledObject's log touches only its own pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

__all__ = ["MOST_ROWS", "TABLE", "LogRow", "add_rows", "forget_rows", "read_rows"]

LogRow: TypeAlias = tuple[str, float, bytes]
"""trigger_id, time in epoch seconds, the change as the engine encoded it."""

TABLE = """
CREATE TABLE decisions (
    trigger_id TEXT NOT NULL,
    at REAL NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (trigger_id, at)
) WITHOUT ROWID
"""

MOST_ROWS = 1_000_000
"""Of all triggers together, about 250 MB: beyond it, each trigger gets an equal share."""

_EACH = "SELECT DISTINCT trigger_id FROM decisions"
_OLDEST_KEPT = "SELECT at FROM decisions WHERE trigger_id = ? ORDER BY at DESC LIMIT 1 OFFSET ?"


def add_rows(connection: sqlite3.Connection, rows: Iterable[LogRow]) -> None:
    """Adds rows; of two with the same trigger and time, the later one stays."""
    connection.executemany("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?)", rows)


def read_rows(connection: sqlite3.Connection, of: str, since: float, most: int) -> list[LogRow]:
    """The newest rows of the triggers whose ids begin with `of`, in the order of time."""
    after = of[:-1] + chr(ord(of[-1]) + 1)  # the first text that does not begin with it
    query = (
        "SELECT trigger_id, at, data FROM decisions WHERE trigger_id >= ? AND trigger_id < ? AND at >= ? "
        "ORDER BY at DESC, trigger_id DESC LIMIT ?"
    )
    rows: list[LogRow] = connection.execute(query, (of, after, since, most)).fetchall()
    return rows[::-1]


def forget_rows(connection: sqlite3.Connection, before: float, most_each: int) -> None:
    """Drops what is older than `before`, and of each trigger all but the newest rows."""
    triggers: list[tuple[str]] = connection.execute(_EACH).fetchall()
    most = min(most_each, MOST_ROWS // max(1, len(triggers)))
    for (trigger_id,) in triggers:
        last = connection.execute(_OLDEST_KEPT, (trigger_id, most - 1)).fetchone() if most else (float("inf"),)
        oldest = before if last is None else max(before, last[0])
        connection.execute("DELETE FROM decisions WHERE trigger_id = ? AND at < ?", (trigger_id, oldest))
