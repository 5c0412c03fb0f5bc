"""One method against another directly, of what `tests.bench.forecast` kept: whatever last value both were held to.

python -m tests.bench.against TRACES --keep RESULTS --method auto --other baseline
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tests.bench.forecast import DAY, LEVELS, PEAK_MINUTES, STRIDE, VALUE_MINUTES, Result, geometric, read_folder, steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecasting.evaluation import Evaluation, Score

__all__ = ["ASKED", "kept", "losses"]

ASKED = (*(("values", minutes) for minutes in VALUE_MINUTES), *(("peaks", minutes) for minutes in PEAK_MINUTES))
"""What is scored: values so many minutes ahead, peaks over so many."""

BY_TRACE = (0.9, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="CSV files (.csv or .csv.gz) with the columns timestamp,value")
    parser.add_argument("--keep", type=Path, required=True, help="folder of what `tests.bench.forecast` found")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--other", default="baseline", help="whose losses are 1; more, separated by commas")
    arguments = parser.parse_args()
    step = {name: series.step for name, series in read_folder(arguments.folder)}
    asked = [f"{minutes} min" if kind == "values" else f"peak {minutes} min" for kind, minutes in ASKED]
    mine = {name: losses(kept(arguments.keep, name, arguments.method), one) for name, one in step.items()}
    print(f"{len(step)} traces; pinball loss of {arguments.method} at {' / '.join(map(str, LEVELS))}, geometric mean")
    print(f"\n| against | {' | '.join(asked)} |\n|---|" + "---|" * len(asked))
    others = arguments.other.split(",")
    ratios = {}
    for other in others:
        ratios[other] = {
            name: mine[name] / losses(kept(arguments.keep, name, other), one) for name, one in step.items()
        }
        mean = [
            [geometric([r[i, j] for r in ratios[other].values()]) for j in range(len(LEVELS))]
            for i in range(len(asked))
        ]
        print(f"| {other} | " + " | ".join(" ".join(f"{cell:.2f}" for cell in cells) for cells in mean) + " |")
    rows = [LEVELS.index(level) for level in BY_TRACE]
    for other in others:
        print(f"\nby trace, at {' / '.join(map(str, BY_TRACE))}, against {other}\n")
        print(f"| trace | {' | '.join(asked)} |\n|---|" + "---|" * len(asked))
        for name, found in ratios[other].items():
            print(f"| {name} | " + " | ".join(" ".join(f"{x:.2f}" for x in each[rows]) for each in found) + " |")


def kept(folder: Path, trace: str, method: str) -> Evaluation:
    """What `tests.bench.forecast --keep` found of a method with its usual strides."""
    data = (folder / f"{trace}-{method}-{STRIDE}-{DAY}.msgpack").read_bytes()
    return msgspec.msgpack.decode(data, type=Result).evaluation


def losses(found: Evaluation, step: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Mean pinball losses; shape (ASKED, LEVELS)."""
    scores: Mapping[str, Mapping[int, Score]] = {"values": found.values, "peaks": found.peaks}
    return np.array([[scores[kind][steps(m, step)].pinball[level] for level in LEVELS] for kind, m in ASKED])


if __name__ == "__main__":
    main()
