"""What the columns are called that `forecasting.features.seen.rows_of` fills, in its order.

Models that pick some of the features name them, so that none is taken for another when one is added between.
"""

from __future__ import annotations

from forecasting.features.seen import DAYS, LAGS, MAXIMA, MEANS, MINIMA, MOVES, RECENT, SPREADS, WEEK

__all__ = ["NAMES", "columns"]

_STATISTICS = ("highest", "median", "scatter", "mean")


def _came_and_ramp(what: str) -> tuple[str, str]:
    return f"{what}: came", f"{what}: ramp"


def _cycles(what: str) -> tuple[str, ...]:
    return (*_came_and_ramp(f"{what} ago"), *_came_and_ramp(f"{what}s' mean"), f"{what}s' highest: ramp")


_LATEST = tuple(f"lag {steps}" for steps in LAGS)
_OVER = tuple(
    f"{what} of {minutes} minutes"
    for what, spans in (("mean", MEANS), ("highest", MAXIMA), ("lowest", MINIMA))
    for minutes in spans
)
_AGAINST = (
    "5 minutes against those before",
    "30 minutes against those before",
    "60 minutes against a day ago",
    "60 minutes against a week ago",
)
_SINGLE_DAYS = tuple(name for days in (1, 2, 3, 7, 14) for name in _came_and_ramp(f"{days} days ago"))
_DAYS = tuple(
    name for days in (WEEK, DAYS) for what in _STATISTICS for name in _came_and_ramp(f"{days} days' {what}")
) + _came_and_ramp(f"{WEEK} days' lowest")
_AROUND = (
    f"around, {WEEK} days' mean",
    f"around, {DAYS} days' mean",
    f"around, {WEEK} days' highest",
    f"around, {WEEK} days' median of the highest",
    f"around, {DAYS} days' mean of the highest",
    f"close, {WEEK} days' median of the highest",
    "around, highest a day ago",
    "around, highest a week ago",
)
_RAMPS = tuple(f"ramps of {minutes} minutes: {what}" for minutes in RECENT for what in ("mean", "highest", "size"))
_OTHERS = (
    "level",
    *(f"scatter of {minutes} minutes" for minutes in SPREADS),
    *(f"moves of {minutes} minutes" for minutes in MOVES),
    *("minute of the day", "day of the week", "minute of the hour", "minute of the quarter"),
    *("spread", "horizon"),
)
NAMES = (
    *(_LATEST + _OVER + _AGAINST),
    *(_SINGLE_DAYS + _DAYS + _AROUND),
    *(_RAMPS + _cycles("hour") + _cycles("period")),
    *_OTHERS,
)
"""The features, by column; loads as log-ratios to the level unless said otherwise."""


def columns(*names: str) -> tuple[int, ...]:
    """Where these features are.

    Raises:
        ValueError: There is none of that name.
    """
    return tuple(NAMES.index(name) for name in names)
