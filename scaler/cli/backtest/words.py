"""The page in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scaler.cli.backtest.output import percent, says_of_fits
from scaler.kinds import show_duration, show_number
from scaler.report.document import capital
from scaler.words import duration

if TYPE_CHECKING:
    from scaler.cli.backtest.content import Content

__all__ = ["summary"]

_EVEN = 0.03  # a loss that differs by less is the same, for people
_KEPT = 0.02  # a coverage that is nearer to its promise keeps it


def summary(content: Content) -> list[str]:
    """What came out, in a few sentences, the most important first."""
    return [*filter(None, (_lead(content), _horizons(content), _promises(content), _hours(content), *_fits(content)))]


def _lead(content: Content) -> str:
    plan, gain = content.plan, content.gain(content.horizon)
    opening = f"Over {duration(plan.tested)}, {plan.forecaster}'s forecasts of the peak of the coming "
    opening += f"{show_duration(content.horizon)} at quantile {show_number(content.level)} "
    if content.reference is content.results:
        return f"{opening}are what every other forecaster has to beat: they repeat the last value."
    if math.isnan(gain):
        return f"{opening}cannot be compared with repeating the last value: nothing came that could be judged."
    if math.isinf(gain):
        return f"{opening}are worse than repeating the last value (naive), which is never wrong here."
    if gain < 1 - _EVEN:
        return f"{opening}are {1 - gain:.0%} better than repeating the last value (naive), by pinball loss."
    if gain <= 1 + _EVEN:
        return (
            f"{opening}are no better than repeating the last value (naive), by pinball loss: nothing is to be gained."
        )
    return (
        f"{opening}are {gain - 1:.0%} worse than repeating the last value (naive), by pinball loss: try another "
        "forecaster on this series."
    )


def _horizons(content: Content) -> str:
    if content.reference is content.results:
        return ""
    gains = {horizon: content.gain(horizon) for horizon in content.plan.horizons}
    listed = ", ".join(f"{gain:.2f} for {show_duration(h)}" for h, gain in gains.items() if not math.isnan(gain))
    return f"The loss divided by naive's, below 1 is better: {listed}." if listed else ""


def _promises(content: Content) -> str:
    miss = content.worst()
    if miss is None:
        return ""
    where = f"the {miss.what} {'within' if miss.what == 'peak' else 'in'} {show_duration(miss.horizon)}"
    kept = f"{percent(miss.coverage)} instead of {show_number(miss.level * 100)}% for {where}"
    if abs(miss.coverage - miss.level) <= _KEPT:
        return f"The quantiles keep their promise: at the worst, {kept}."
    if miss.coverage < miss.level:
        return (
            f"The quantiles promise too much somewhere: {kept}. The load came out above them more often than they say."
        )
    return f"The quantiles are too cautious somewhere: {kept}. They cost more pods than they say."


def _hours(content: Content) -> str:
    hardest = content.hardest_hours()
    if hardest is None:
        return ""
    hour, times = hardest
    return (
        f"The hardest hour of the day is {hour:02}:00 to {(hour + 1) % 24:02}:00 UTC: {show_duration(content.horizon)} "
        f"ahead, the median is off by {times:.1f} times as much as on average."
    )


def _fits(content: Content) -> list[str]:
    return [capital(sentence) + "." for sentence in says_of_fits(content.plan, content.results)]
