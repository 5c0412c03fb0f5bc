"""Real load traces for tests: the slices in tests/data/traces."""

from __future__ import annotations

import csv
import gzip
from datetime import datetime
from pathlib import Path

from forecasting.series import TimeSeries

__all__ = ["read_trace"]

_FOLDER = Path(__file__).parents[1] / "data" / "traces"


def read_trace(name: str) -> TimeSeries:
    """The trace in the file NAME.csv.gz, at its own step; a missing sample is NaN."""
    with gzip.open(_FOLDER / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    samples = [(datetime.fromisoformat(row["timestamp"]).timestamp(), float(row["value"] or "nan")) for row in rows]
    return TimeSeries.from_samples(samples, step=int(samples[1][0] - samples[0][0]))
