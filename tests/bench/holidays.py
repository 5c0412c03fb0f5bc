"""What it brings to say whose holidays a load keeps: `python -m tests.bench.holidays`.

An office's load, generated: busy on weekdays from half past eight, an eighth of that on weekends and on the public
holidays of Bavaria; each day a little different, with noise that lasts. Three weeks of history up to Whit Monday, then
forecasts an hour ahead, from every five minutes of that day, with and without `holidays`.
"""

from __future__ import annotations

import argparse
import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np

from forecasting.batch import predict_many
from forecasting.calibration import future
from forecasting.evaluation import pinball_loss
from forecasting.prepare.calendar import Holidays, local_times
from forecasting.registry import default_registry
from forecasting.series import TimeSeries

ZONE, REGION = "Europe/Berlin", "DE-BY"
STEP, DAY, HOUR = 300, 86400, 3600
WHIT_MONDAY = dt.datetime(2026, 5, 25, tzinfo=ZoneInfo(ZONE))
LEVELS = (0.5, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="seasonal-profile,boosted,auto")
    parser.add_argument("--draws", type=int, default=2, help="loads generated")
    arguments = parser.parse_args()
    print("| method | draw | loss at 0.5 and 0.9 with `holidays`, without it being 1 |\n|---|---|---|")
    for method in arguments.methods.split(","):
        for draw in range(1, arguments.draws + 1):
            series = office(draw)
            without, told = (losses(series, method, region) for region in ("", REGION))
            print(f"| {method} | {draw} | {' '.join(f'{share:.2f}' for share in told / without)} |", flush=True)


def office(draw: int) -> TimeSeries:
    """Six weeks up to Whit Monday, and the two days from it."""
    random = np.random.default_rng(draw)
    start = int(WHIT_MONDAY.timestamp()) - 42 * DAY
    times = start + STEP * np.arange(44 * DAY // STEP)
    local = local_times(times, ZONE)
    empty = TimeSeries(start, STEP, np.zeros(times.size))
    rests = (Holidays.around(REGION, empty, zone=ZONE).moved(local) // DAY + 3) % 7 >= 5
    hour = local % DAY / HOUR
    busy = 1 / (1 + np.exp(-(hour - 8.5) / 0.4)) / (1 + np.exp((hour - 17.5) / 0.5))
    each = np.exp(random.normal(0, 0.08, 50))[(local - local[0]) // DAY]
    lasting, shocks = np.zeros(times.size), random.normal(0, 0.02, times.size)
    for i in range(1, times.size):
        lasting[i] = 0.95 * lasting[i - 1] + shocks[i]
    return TimeSeries(start, STEP, (40 + np.where(rests, 0.12, 1.0) * busy * 400 * each) * np.exp(lasting))


def losses(series: TimeSeries, method: str, region: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean pinball losses an hour ahead on Whit Monday, by level."""
    past = series.until(WHIT_MONDAY.timestamp())
    forecaster = default_registry().create(method, {"timezone": ZONE, "holidays": region})
    horizon = HOUR // STEP
    fitted = forecaster.fit(past.last(21 * DAY // STEP), horizon=horizon, levels=LEVELS)
    origins = len(past) - 1 + np.arange((DAY - HOUR) // STEP)
    came = future(series.values, origins, horizon)[:, -1:]
    said = predict_many(fitted, series, origins, horizon=horizon, levels=LEVELS).values[:, :, -1]
    return np.asarray(pinball_loss(came, said, np.array(LEVELS)).mean(axis=0))


if __name__ == "__main__":
    main()
