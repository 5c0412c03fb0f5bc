"""What fits and forecasts cost on a folder of traces, in CPU time: `make bench-timing TRACES=...`.

A fit is to the last 10,080 samples of a trace, for an hour ahead; a forecast is of 10 minutes, at the quantile
levels that every trigger has. *Alone* is `predict`; *in company* is what the engine does in a turn, four series of a
fleet at once, whose models are read from their bytes. Everything is done several times: the least of them is what it
takes, more is what the machine had to do besides.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecasting.registry import default_registry
from forecasting.selection import _loaded
from forecasting.serialise import dumps, loads
from forecasting.together import predict_together
from scaler.engine.shared_turns import MOST
from scaler.engine.state import BANDS
from scaler.heap import keep_pages
from tests.bench.forecast import COST_POINTS, LEVELS, read_folder, steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.forecaster import FittedForecaster, Forecaster
    from forecasting.series import TimeSeries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="CSV files (.csv or .csv.gz) with the columns timestamp,value")
    parser.add_argument("--traces", default="", help="names, separated by commas; all by default")
    parser.add_argument("--methods", default="seasonal-profile,boosted,auto")
    parser.add_argument("--fits", type=int, default=3, help="fits of each trace")
    parser.add_argument("--forecasts", type=int, default=40, help="forecasts of each kind")
    arguments = parser.parse_args()
    keep_pages()  # as the engine does
    wanted = [name for name in arguments.traces.split(",") if name]
    traces = {name: series for name, series in read_folder(arguments.folder) if not wanted or name in wanted}
    print("| method | fit, CPU s: least, median | alone, ms | in company, ms | stored, KiB |\n|---|---|---|---|---|")
    for method in arguments.methods.split(","):
        forecaster = default_registry().create(method)
        found = np.array([measured(one, forecaster, arguments.fits, arguments.forecasts) for one in traces.values()])
        cells = [
            f"{np.median(found[:, i, 0]):.2f}, {np.median(found[:, i, 1]):.2f} ({found[:, i, 0].max():.2f})"
            for i in range(3)
        ]
        print(
            f"| {method} | {' | '.join(cells)} | {np.median(found[:, 3, 0]):.0f} ({found[:, 3, 0].max():.0f}) |",
            flush=True,
        )


def measured(series: TimeSeries, forecaster: Forecaster, fits: int, forecasts: int) -> list[tuple[float, float]]:
    """Least and median of a fit, in seconds, of a forecast alone and in company, in ms; KiB stored, twice."""
    history = series.last(COST_POINTS)
    ahead, far = steps(10, series.step), steps(60, series.step)
    made: list[FittedForecaster] = []
    fit = spent(lambda: made.append(forecaster.fit(history, horizon=far, levels=LEVELS)), fits)
    fitted = made[-1]
    context, data = series.last(fitted.context_length), dumps(fitted)
    alone = spent(lambda: fitted.predict(context, horizon=ahead, levels=BANDS), forecasts)

    def company() -> None:
        _loaded.cache_clear()  # a fleet has more models than are kept at hand
        several: list[FittedForecaster] = [loads(data) for _ in range(MOST)]
        predict_together(several, [context] * MOST, horizon=ahead, levels=BANDS)

    together = spent(company, forecasts)
    size = len(data) / 1024
    return [
        fit,
        (1000 * alone[0], 1000 * alone[1]),
        (1000 * together[0] / MOST, 1000 * together[1] / MOST),
        (size, size),
    ]


def spent(work: Callable[[], object], times: int) -> tuple[float, float]:
    """CPU seconds, the least and the median."""
    took = []
    for _ in range(times):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took), float(np.median(took))


if __name__ == "__main__":
    main()
