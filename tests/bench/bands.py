"""Which bands a last value had whose ratios are known: seasonal naive forecasts against it, with the same bands each.

    python -m tests.bench.bands TRACES --keep RESULTS

A ratio to "the last value with conformal bands" says little without these bands: additive or proportional, calibrated
anew with each fit or once, on everything or on a part kept for that. But whoever publishes one mostly does so for
seasonal naive forecasts as well, and how these lose from level to level depends on the bands alone. Each row of the
table is one kind of band: what the last value loses with it in parts of what `naive` does, what the value a day and a
week before lose in parts of that, and so do the methods kept by `tests.bench.forecast` (same protocol, same origins).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from forecasting.calibration import conformal_quantiles, future
from forecasting.evaluation import pinball_loss
from forecasting.prepare.gaps import carried
from tests.bench.against import ASKED, kept
from tests.bench.against import losses as losses_of
from tests.bench.forecast import DAY, HISTORY_DAYS, LEVELS, STRIDE, geometric, read_folder, split, steps

if TYPE_CHECKING:
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["Calibration", "losses"]

#: With each day's fit on its history, once on all of the training part, once on its last third.
Calibration: TypeAlias = Literal["daily", "once", "last third"]

MINUTES = (15, 60)
SHARES = (None, 0.05, 0.1, 0.2, 0.5)
"""Of the mean load, added to loads before ratios are taken; None: bands are additive."""

PATHS = {"last": 0, "day": 1, "week": 7}  # days back


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="CSV files (.csv or .csv.gz) with the columns timestamp,value")
    parser.add_argument("--keep", type=Path, required=True, help="folder of what `tests.bench.forecast` found")
    parser.add_argument("--methods", default="baseline,auto", help="of these")
    arguments = parser.parse_args()
    methods = arguments.methods.split(",")
    traces = dict(read_folder(arguments.folder))
    scored = {
        m: {n: losses_of(kept(arguments.keep, n, m), one.step) for n, one in traces.items()}
        for m in ("naive", *methods)
    }
    asked = " / ".join(str(level) for level in LEVELS)
    for minutes in MINUTES:
        print(f"\n{minutes} minutes ahead, at {asked}; geometric mean over {len(traces)} traces\n")
        print(
            "| bands | last / `naive` | day / last | week / last | " + " | ".join(f"{m} / last" for m in methods) + " |"
        )
        print("|---|" + "---|" * (3 + len(methods)))
        for share in SHARES:
            for calibration in get_args(Calibration):
                found = {
                    path: {
                        n: losses(one, minutes, path=path, share=share, when=calibration) for n, one in traces.items()
                    }
                    for path in PATHS
                }
                row = ASKED.index(("values", minutes))
                found |= {method: {n: each[row] for n, each in scored[method].items()} for method in scored}
                pairs = [("last", "naive"), *((one, "last") for one in ("day", "week", *methods))]
                cells = [_ratios(found[mine], found[other]) for mine, other in pairs]
                kind = "additive" if share is None else f"proportional, {share:g} of the mean added"
                print(f"| {kind}, {calibration} | " + " | ".join(cells) + " |", flush=True)


def losses(series: TimeSeries, minutes: int, *, path: str, share: float | None, when: Calibration) -> FloatArray:
    """Mean pinball losses at LEVELS of a naive forecast in the test part.

    Args:
        series: The trace.
        minutes: Ahead.
        path: One of PATHS.
        share: See SHARES.
        when: When, and on what, the bands are calibrated.
    """
    train_end, part = split(series)
    step, n, day = part.step, len(part), DAY // part.step
    horizon, back = steps(minutes, step), PATHS[path] * day
    first, stride = (train_end - part.start) // step, max(1, STRIDE // step)
    load = np.maximum(part.values, 0.0)
    came, seen = future(load, np.arange(n), horizon)[:, -1], carried(load)
    source = np.arange(n) + (horizon - back if back else 0)
    said = np.where(source >= 0, seen[np.maximum(source, 0)], seen)
    found = []
    for begin in range(first, n, day):
        origins = np.arange(first - (first - begin) // stride * stride, min(begin + day, n), stride)
        end = begin if when == "daily" else first
        start = {"daily": max(0, begin - HISTORY_DAYS * day), "once": 0, "last third": first * 2 // 3}[when]
        past = np.arange(max(start, min(back, (start + end) // 2)), end + 1 - horizon)
        base = None if share is None else share * float(np.nanmean(load[start : end + 1]))
        quantiles = _banded(said, came, past, origins, base)
        found.append(pinball_loss(came[origins, None], np.maximum(quantiles, 0.0), np.array(LEVELS)))
    return np.asarray(np.nanmean(np.concatenate(found), axis=0))


def _banded(said: FloatArray, came: FloatArray, past: IntArray, origins: IntArray, base: float | None) -> FloatArray:
    """Quantiles at LEVELS around what is said at these origins; shape (N, LEVELS).

    Args:
        said: By position, as is what came.
        came: The same.
        past: Positions to calibrate on.
        origins: To forecast from.
        base: Added before ratios are taken; None: bands are additive.
    """
    if base is None:
        return said[origins, None] + conformal_quantiles((came - said)[past, None], LEVELS)[:, 0]
    ratios = np.log(came[past] + base) - np.log(said[past] + base)
    return np.asarray((said[origins, None] + base) * np.exp(conformal_quantiles(ratios[:, None], LEVELS)[:, 0]) - base)


def _ratios(mine: dict[str, FloatArray], other: dict[str, FloatArray]) -> str:
    each = np.array([mine[name] / other[name] for name in mine])
    return " ".join(f"{geometric(ratios):.2f}" for ratios in each.T.tolist())


if __name__ == "__main__":
    main()
