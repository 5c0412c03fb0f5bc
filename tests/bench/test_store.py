"""What keeping the history of a fleet costs: a sample a minute for each of 10,000 series."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

SERIES = 10_000
MINUTES = 30
START = 1_700_000_040


@pytest.mark.bench
def test_a_minute_of_a_fleet(tmp_path: Path) -> None:
    path = tmp_path / "foresail.db"
    store = SqliteStore(path)
    values = np.random.default_rng(0).random((MINUTES, SERIES))
    ids = [f"{n * 2654435761 % 2**64:016x}" for n in range(SERIES)]
    wall, cpu = [], []
    for minute in range(MINUTES):
        moment = START + 60 * minute
        batch = [(ids[n], TimeSeries(moment, 60, values[minute, n : n + 1])) for n in range(SERIES)]
        began, used = time.perf_counter(), time.process_time()
        store.append(batch)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    print(f"\nappend to {SERIES} series: {np.median(wall):.2f} s, CPU {np.median(cpu):.2f} s (median of {MINUTES})")

    store.append([("five weeks", TimeSeries(START, 60, np.random.default_rng(1).random(50_400)))])
    for days in (7, 35):
        began = time.perf_counter()
        history = store.history("five weeks", step=60, since=START + 60 * 1440 * (35 - days))
        print(f"history of {days} days: {1000 * (time.perf_counter() - began):.1f} ms")
        assert history.known == days * 1440
    store.close()
