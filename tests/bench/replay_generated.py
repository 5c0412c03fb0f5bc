"""Writes generated loads for `make bench-replay`, on which nothing was chosen.

    python -m tests.bench.replay_generated DIRECTORY
    make bench-replay TRACES=DIRECTORY

What no autoscaler can be judged on is passed over: loads with much missing, that all but vanish in the part that is
replayed, or that outgrow eightfold what a pod's size is taken from.
"""

from __future__ import annotations

import argparse
import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecasting.generate import generate_series

if TYPE_CHECKING:
    from forecasting.series import TimeSeries

FIRST_SEED = 910_001
PODS = 12  # that carry the learning part's 99th percentile, as of the real traces
REPLAYED = 0.4  # of a series, as in the bench


def pod_size(series: TimeSeries) -> float | None:
    """What a pod carries; None for a load to pass over."""
    learned = series.values[: len(series) - int(REPLAYED * len(series))]
    replayed = series.values[len(learned) :]
    high = float(np.nanpercentile(learned, 99))
    vanishes = float(np.nanmean(replayed)) < 0.03 * high
    outgrows = float(np.nanpercentile(replayed, 99)) > 8.0 * high
    missing = float(np.isnan(series.values).mean())
    return None if high < 3.0 or vanishes or outgrows or missing > 0.05 else high / PODS


def write(folder: Path, *, count: int, days: float) -> None:
    """So many of them, with the manifest that the bench reads."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, float]] = []
    seed = FIRST_SEED
    while len(rows) < count:
        series = generate_series(np.random.default_rng(seed), days=days)
        size, name = pod_size(series), f"generated_{seed}"
        seed += 1
        if size is None:
            continue
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("timestamp", "value"))
            for number, value in enumerate(series.values):
                at = datetime.fromtimestamp(series.start + number * series.step, UTC)
                writer.writerow((f"{at:%Y-%m-%dT%H:%M:%SZ}", "" if np.isnan(value) else f"{value:.3f}"))
        rows.append((name, size))
    with (folder / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "target_per_pod"))
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--days", type=float, default=20.0)
    arguments = parser.parse_args()
    write(arguments.folder, count=arguments.count, days=arguments.days)


if __name__ == "__main__":
    main()
