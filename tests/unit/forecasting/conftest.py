from __future__ import annotations

import csv
import gzip
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable

_TRACES = Path(__file__).parents[2] / "data" / "traces"


@pytest.fixture(scope="session")
def trace() -> Callable[[str], TimeSeries]:
    """Reads a slice of a real trace from tests/data/traces by name."""

    def read(name: str) -> TimeSeries:
        with gzip.open(_TRACES / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        samples = [(datetime.fromisoformat(row["timestamp"]).timestamp(), float(row["value"] or "nan")) for row in rows]
        return TimeSeries.from_samples(samples, step=int(samples[1][0] - samples[0][0]))

    return read
