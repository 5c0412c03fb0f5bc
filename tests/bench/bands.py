"""Which bands a last value had whose ratios are known: seasonal naive forecasts against it, with the same bands each.

    python -m tests.bench.bands TRACES --keep RESULTS --known day-15=1.71,2.31,2.37,1.79 week-60=0.94,0.85,0.82,0.75 ...

A ratio to "the last value with conformal bands" says little without these bands: additive or proportional, calibrated
anew with each fit or once, on everything or on a part kept for that. But whoever publishes one mostly does so for
seasonal naive forecasts as well, and how these lose from level to level depends on the bands more than on the traces.
Each row of the tables is one kind of band: what the last value loses with it in parts of what `naive` does, what the
value a day and a week before lose in parts of that, and so do the methods kept by `tests.bench.forecast` (same
protocol, same origins). With `--known`, rows are ordered by how well they agree with ratios published elsewhere: by the
root mean square of the logarithms' differences, each row's own at the median taken off, which tells of traces alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecasting.calibration import conformal_quantiles, future
from forecasting.evaluation import pinball_loss
from forecasting.prepare.gaps import carried
from tests.bench.against import ASKED, kept
from tests.bench.against import losses as losses_of
from tests.bench.forecast import DAY, HISTORY_DAYS, LEVELS, STRIDE, geometric, read_folder, split, steps
from tests.bench.yardstick import proportional_bands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["losses", "off"]

MINUTES = (15, 60)
SHARES = (None, 0.1, 0.2, 0.3, 0.5)
"""Of the mean load, added to loads before ratios are taken; None: bands are additive."""

CALIBRATIONS = {"daily": None, "once": 1.0, "last third": 1 / 3, "last fifth": 0.2, "last tenth": 0.1}
"""On which latest part of the training part; None: with each day's fit, on its history."""

PATHS = {"last": 0, "day": 1, "week": 7}  # days back


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="CSV files (.csv or .csv.gz) with the columns timestamp,value")
    parser.add_argument("--keep", type=Path, required=True, help="folder of what `tests.bench.forecast` found")
    parser.add_argument("--methods", default="seasonal-profile,baseline,auto", help="of these")
    parser.add_argument(
        "--known", nargs="*", default=[], help="WHAT-MINUTES=RATIOS: published ratios of day, week or a method"
    )
    arguments = parser.parse_args()
    methods = arguments.methods.split(",")
    known = {what: np.array(text.split(","), dtype=float) for what, text in (one.split("=") for one in arguments.known)}
    traces = dict(read_folder(arguments.folder))
    scored = {
        m: {n: losses_of(kept(arguments.keep, n, m), one.step) for n, one in traces.items()}
        for m in ("naive", *methods)
    }
    rows = []
    for share in SHARES:
        for when in CALIBRATIONS:
            ratios = ratios_with(traces, scored, share=share, when=when)
            kind = "additive" if share is None else f"proportional, {share:g}"
            rows.append((off(ratios, known), f"{kind}, {when}", ratios))
    rows.sort(key=lambda row: row[0])
    shown = ["last", "day", "week", *methods]
    levels = " / ".join(map(str, LEVELS))
    print(f"{len(traces)} traces, geometric mean, at {levels}; last against `naive`, others against last")
    for minutes in MINUTES:
        print(f"\n{minutes} minutes ahead\n\n| bands | off | {' | '.join(shown)} |\n|---|---|{'---|' * len(shown)}")
        for distance, kind, ratios in rows:
            cells = [" ".join(f"{x:.2f}" for x in ratios[f"{what}-{minutes}"]) for what in shown]
            print(f"| {kind} | {distance:.2f} | {' | '.join(cells)} |")


def ratios_with(
    traces: Mapping[str, TimeSeries],
    scored: Mapping[str, Mapping[str, FloatArray]],
    *,
    share: float | None,
    when: str,
) -> dict[str, FloatArray]:
    """What loses how much with one kind of bands, at LEVELS; by what and minutes.

    Args:
        traces: By name.
        scored: Losses by method and trace as of `tests.bench.against.losses`; `naive` among them.
        share: See SHARES.
        when: One of CALIBRATIONS.
    """
    out = {}
    for minutes in MINUTES:
        found = {
            path: {name: losses(one, minutes, path=path, share=share, when=when) for name, one in traces.items()}
            for path in PATHS
        }
        at = ASKED.index(("values", minutes))
        found |= {method: {name: loss[at] for name, loss in each.items()} for method, each in scored.items()}
        for what, mine in found.items():
            other = found["naive" if what == "last" else "last"]
            ratios = np.array([mine[name] / other[name] for name in traces])
            out[f"{what}-{minutes}"] = np.array([geometric(some) for some in ratios.T.tolist()])
    return out


def off(ratios: Mapping[str, FloatArray], known: Mapping[str, FloatArray]) -> float:
    """How far ratios are from those known, from level to level; 0 where none is known.

    Args:
        ratios: By what and minutes, at LEVELS.
        known: The same, of some of them.
    """
    apart = np.array([np.log(ratios[what] / known[what]) for what in known]).reshape(-1, len(LEVELS))
    return float(np.sqrt(np.mean((apart - apart[:, :1])[:, 1:] ** 2))) if known else 0.0


def losses(series: TimeSeries, minutes: int, *, path: str, share: float | None, when: str) -> FloatArray:
    """Mean pinball losses at LEVELS of a naive forecast in the test part.

    Args:
        series: The trace.
        minutes: Ahead.
        path: One of PATHS.
        share: See SHARES.
        when: One of CALIBRATIONS.
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
        part_kept = CALIBRATIONS[when]
        end = begin if part_kept is None else first
        start = max(0, begin - HISTORY_DAYS * day) if part_kept is None else int((1 - part_kept) * first)
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
    return proportional_bands(said[past], came[past, None], said[origins], base=base, levels=LEVELS)[..., 0]


if __name__ == "__main__":
    main()
