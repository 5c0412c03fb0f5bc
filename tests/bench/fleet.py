"""Trains the fleet model that ships, on generated series only: `make fleet`.

So it is judged on traces that it never saw. The same command makes the same bytes, with the same versions of numpy and
LightGBM: those of the file in the repository. It takes 7 CPU minutes and 2 GiB.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from forecasting.fleet import GROWTH, generated_lessons, grown_fleet

SERIES = 1600
SEED = 1
ROWS = 240_000  # that trees are grown on, of those of all series


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="where the model is written, e.g. forecasting/fleet.bin")
    parser.add_argument("--series", type=int, default=SERIES, help="generated series")
    parser.add_argument("--seed", type=int, default=SEED, help="of all that is drawn")
    arguments = parser.parse_args()
    lessons = generated_lessons(arguments.series, seed=arguments.seed)
    model = grown_fleet([lessons], growth=replace(GROWTH, rows=ROWS))
    arguments.output.write_bytes(model.to_bytes())
    print(f"{model.digest()}: {model.series} generated series, {len(model.to_bytes()) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
