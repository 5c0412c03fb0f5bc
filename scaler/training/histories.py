"""Histories to learn from: a folder of CSV files, or what a server's store has kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from scaler.errors import NoData, StoreError
from scaler.sources.csv import read_csv
from scaler.store.sqlite import history_of, series_of

if TYPE_CHECKING:
    from pathlib import Path

    from forecasting.series import TimeSeries

__all__ = ["from_folder", "from_store"]


def from_folder(folder: Path) -> list[tuple[str, TimeSeries]]:
    """The series of all CSV files in a folder, by the files' names, in their order.

    Raises:
        NoData: There is no such file.
        SourceError: One of them cannot be read; the text names it.
    """
    if not folder.is_dir():
        raise NoData(f"{folder} is no folder; give one that holds a CSV file for each series")
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise NoData(f"the folder {folder} holds no file NAME.csv")
    return [(path.stem, read_csv(path)) for path in paths]


def from_store(path: Path, *, since: int) -> list[tuple[str, TimeSeries]]:
    """The histories that a server keeps, from `since` (epoch seconds) on; the server may be running.

    Raises:
        StoreError: The file cannot be read.
        NoData: It holds no history.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5.0)) as connection:
            found = [
                (f"{name}@{step}", history_of(connection, name, step=step, since=since))
                for name, step in series_of(connection)
            ]
    except (sqlite3.Error, ValueError) as error:
        raise StoreError(f"the store {path} cannot be read: {error}") from error
    found = [(name, series) for name, series in found if len(series)]
    if not found:
        raise NoData(f"the store {path} holds no history yet")
    return found
