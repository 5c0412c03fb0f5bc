"""Trains the fleet model that ships, `make fleet`: on generated series only, so it is judged on traces it never saw.

The file in the repository was trained by the same code on 690 series of an earlier draw; this makes its like.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from forecasting.fleet import GROWTH, generated_lessons, grown_fleet

SERIES = 700
SEED = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="where the model is written, e.g. forecasting/fleet.bin")
    parser.add_argument("--series", type=int, default=SERIES, help="generated series")
    parser.add_argument("--seed", type=int, default=SEED, help="of all that is drawn")
    arguments = parser.parse_args()
    lessons = generated_lessons(arguments.series, seed=arguments.seed)
    model = grown_fleet([lessons], growth=GROWTH)
    arguments.output.write_bytes(model.to_bytes())
    print(f"{model.digest()}: {model.series} generated series, {len(model.to_bytes()) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
