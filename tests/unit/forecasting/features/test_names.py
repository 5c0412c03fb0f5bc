from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from forecasting.features.names import NAMES, columns
from forecasting.features.seen import (
    DAYS,
    LAGS,
    MAXIMA,
    MEANS,
    MINIMA,
    MOVES,
    PERIODS_BACK,
    RECENT,
    SPREADS,
    WEEK,
    Recent,
    Seasonal,
    rows_of,
)

# Every quantity that is seen is a number of its own, so that a feature tells what it was made of.
_RANDOM = np.random.default_rng(8)
LEVEL = 2.0


def some(*shape: int) -> np.ndarray:
    return _RANDOM.normal(size=shape)


def small(*shape: int) -> np.ndarray:
    return some(*shape).astype(np.float32)


RECENTLY = Recent(
    level=np.array([LEVEL], dtype=np.float32),
    lags=small(len(LAGS), 1),
    means=small(len(MEANS), 1),
    earlier=small(4, 1),
    highest=small(len(MAXIMA), 1),
    lowest=small(len(MINIMA), 1),
    spreads=np.stack([some(len(SPREADS), 1), 100 + some(len(SPREADS), 1) ** 2, np.full((len(SPREADS), 1), 10.0)]),
    moves=np.stack([some(len(MOVES), 1) ** 2, np.full((len(MOVES), 1), 10.0)]),
    local=np.array([3 * 86400 + 7 * 3600 + 1260]),
    weekday=np.array([5 * 86400]),
)
SEASON = Seasonal(
    came=small(1, DAYS, 1),
    ramps=small(1, DAYS, 1),
    around=np.stack([some(1, DAYS, 1), 100 + some(1, DAYS, 1) ** 2, np.full((1, DAYS, 1), 10.0)]),
    top=small(1, DAYS, 1),
    close=small(1, WEEK, 1),
    latest=np.stack([some(len(RECENT), 1, 1), 100 + some(len(RECENT), 1, 1) ** 2, np.full((len(RECENT), 1, 1), 10.0)]),
    highest=small(len(RECENT), 1, 1),
    cycle=small(2, 1, PERIODS_BACK, 1),
    cycle_ramps=small(2, 1, PERIODS_BACK, 1),
)


def expected() -> dict[str, Any]:
    """Each feature by its name, worked out one by one."""
    out: dict[str, Any] = {}
    for name, at, values in (
        ("lag {}", LAGS, RECENTLY.lags),
        ("mean of {} minutes", MEANS, RECENTLY.means),
        ("highest of {} minutes", MAXIMA, RECENTLY.highest),
        ("lowest of {} minutes", MINIMA, RECENTLY.lowest),
    ):
        out |= {name.format(one): value - LEVEL for one, value in zip(at, values[:, 0], strict=True)}
    mean = dict(zip(MEANS, RECENTLY.means[:, 0], strict=True))
    earlier = RECENTLY.earlier[:, 0]
    out["5 minutes against those before"] = mean[5] - earlier[0]
    out["30 minutes against those before"] = mean[30] - earlier[1]
    out["60 minutes against a day ago"] = mean[60] - earlier[2]
    out["60 minutes against a week ago"] = mean[60] - earlier[3]
    for what, days in (("came", SEASON.came[0, :, 0] - LEVEL), ("ramp", SEASON.ramps[0, :, 0])):
        out |= {f"{day} days ago: {what}": days[day - 1] for day in (1, 2, 3, 7, 14)}
        for length in (7, 14):
            part = days[:length]
            for statistic, value in (
                ("highest", part.max()),
                ("median", np.median(part)),
                ("scatter", part.std()),
                ("mean", part.mean()),
            ):
                out[f"{length} days' {statistic}: {what}"] = value
        out[f"7 days' lowest: {what}"] = days[:7].min()
    around, top = SEASON.around[0, 0, :, 0] / SEASON.around[2, 0, :, 0], SEASON.top[0, :, 0]
    out["around, 7 days' mean"], out["around, 14 days' mean"] = around[:7].mean(), around.mean()
    out["around, 7 days' highest"], out["around, 14 days' mean of the highest"] = top[:7].max(), top.mean()
    out["around, 7 days' median of the highest"] = np.median(top[:7])
    out["close, 7 days' median of the highest"] = np.median(SEASON.close[0, :, 0])
    out["around, highest a day ago"], out["around, highest a week ago"] = top[0], top[6]
    for i, minutes in enumerate(RECENT):
        total, squares, count = SEASON.latest[:, i, 0, 0]
        out[f"ramps of {minutes} minutes: mean"] = total / count
        out[f"ramps of {minutes} minutes: highest"] = SEASON.highest[i, 0, 0]
        out[f"ramps of {minutes} minutes: size"] = np.sqrt(squares / count)
    for i, cycle in enumerate(("hour", "period")):
        came, ramps = SEASON.cycle[i, 0, :, 0] - LEVEL, SEASON.cycle_ramps[i, 0, :, 0]
        out[f"{cycle} ago: came"], out[f"{cycle} ago: ramp"] = came[0], ramps[0]
        out[f"{cycle}s' mean: came"], out[f"{cycle}s' mean: ramp"] = came.mean(), ramps.mean()
        out[f"{cycle}s' highest: ramp"] = ramps.max()
    for i, minutes in enumerate(SPREADS):
        total, squares, count = RECENTLY.spreads[:, i, 0]
        out[f"scatter of {minutes} minutes"] = np.sqrt(squares / count - (total / count) ** 2)
    for i, minutes in enumerate(MOVES):
        out[f"moves of {minutes} minutes"] = RECENTLY.moves[0, i, 0] / RECENTLY.moves[1, i, 0]
    out |= {"level": LEVEL, "minute of the day": 441, "day of the week": 2, "minute of the hour": 21}
    return out | {"minute of the quarter": 6, "horizon": np.log(10)}


def test_every_feature_is_where_its_name_is() -> None:
    rows = rows_of(RECENTLY, SEASON, np.array([10]), 60)
    found = dict(zip(NAMES, rows.x[0], strict=True))
    wanted = expected() | {"spread": rows.spread[0]}
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=2e-4), name
    # a feature that stood in for another would be seen: but for a highest, which may be that of one of the days
    assert len({round(float(value), 4) for value in found.values()}) >= len(NAMES) - 6


def test_log_ratios_come_first() -> None:
    rows = rows_of(RECENTLY, SEASON, np.array([10]), 60)
    assert NAMES[rows.ratios] == "level"


def test_columns_are_found_by_name_and_others_refused() -> None:
    assert columns("lag 0", "horizon", "lag 1") == (0, 100, 1)
    with pytest.raises(ValueError, match="not in tuple"):
        columns("lag 5")
