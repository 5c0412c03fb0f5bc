"""At which level a trigger's forecasts are read, so that the quantile it was promised is what it gets.

Each forecast is made at a few levels around the promised one. Where between them it is read is learned from the ranks
that peaks had among earlier forecasts (`forecasting.adaptive`).
"""

from __future__ import annotations

from functools import lru_cache

from forecasting.adaptive import AdaptiveRule, corrected_level, knots, weights

__all__ = ["level_of", "levels_for", "rule_for", "weights_at"]


@lru_cache(maxsize=1024)
def rule_for(quantile: float) -> AdaptiveRule:
    """How the level of a trigger with this quantile is corrected."""
    return AdaptiveRule(level=quantile)


@lru_cache(maxsize=1024)
def levels_for(quantile: float) -> tuple[float, ...]:
    """The levels to forecast at for it, increasing; the second is the quantile itself."""
    return knots(rule_for(quantile))


def weights_at(offset: float, quantile: float) -> tuple[float, ...]:
    """How much of the forecast at each of these levels makes up the one to serve."""
    return weights(offset, rule_for(quantile))


def level_of(offset: float, quantile: float) -> float:
    """The level that comes to."""
    return corrected_level(offset, rule_for(quantile))
