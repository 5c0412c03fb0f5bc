"""Real load traces for tests: the slices in tests/data/traces."""

from __future__ import annotations

import csv
import gzip
from datetime import datetime
from pathlib import Path

from forecasting.series import TimeSeries

__all__ = ["read_trace"]

_FOLDER = Path(__file__).parents[1] / "data" / "traces"


def read_trace(name: str, *, step: int) -> TimeSeries:
    """The trace in the file NAME.csv.gz."""
    with gzip.open(_FOLDER / f"{name}.csv.gz", "rt", newline="") as file:
        rows = csv.DictReader(file)
        samples = [(datetime.fromisoformat(row["timestamp"]).timestamp(), float(row["value"])) for row in rows]
    return TimeSeries.from_samples(samples, step=step)
