"""Online calibration: the quantile level asked for is corrected by how often the forecasts so far were exceeded.

Conformal bands promise coverage as long as the future scatters like the past. Where it drifts, a forecast that was
exceeded raises the level that the next ones are read at, and one that was not lowers it a little: adaptive conformal
inference. Two things are gentler here than in the paper. The correction is of the level's log-odds and
bounded, so it can neither leave (0, 1) nor run away; and it is forgotten over some hundred windows, because bands
are right to begin with, and what a long gone drift has taught is noise by now. The price is that a drift that lasts is
not made up for wholly until the next fit; the gain, that the noise costs nothing where there is no drift.

Corrected with each fit, by what came since the one before. Measured on peaks over 4 minutes of 13 real traces,
`seasonal-profile` fitted daily (docs/benchmarks.md), without it / with it:

| | at 0.9 | at 0.95 |
|---|---|---|
| coverage off the promise, median trace, in points | 1.9 / 1.1 | 1.5 / 1.2 |
| worst trace | 16.0 / 4.5 | 3.3 / 3.1 |
| pinball loss, geometric mean | -0.3 % | -0.4 % |
| worst trace | +0.6 % | +0.9 % |

Sources: Gibbs and Candès, "Adaptive conformal inference under distribution shift", NeurIPS 2021; forgetting is the
leaky integrator of Angelopoulos, Candès and Tibshirani, "Conformal PID control for time series prediction",
NeurIPS 2023.

A forecast is made at a few levels only, `knots`; between them it is read linearly in log-odds. What a peak teaches is
its rank, the level at which it lay among the quantiles forecast for it::

    ranks = ranks_of(outcomes, quantiles)                  # once their windows are over; quantiles at RANK_LEVELS
    offset = offset_after(ranks, rule, steps=...)          # of the level's log-odds
    value = sum of weights(offset, rule) x quantiles at knots(rule)

The offset is a function of ranks and of nothing else, so two who know the same ranks agree to the last bit.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import InvalidParameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecasting.series import FloatArray

__all__ = ["RANK_LEVELS", "AdaptiveRule", "corrected_level", "knots", "offset_after", "ranks_of", "weights"]

RANK_LEVELS = (0.4, 0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.9995)
"""Levels among whose quantiles an outcome's rank is found: dense where promises are made."""

_RANK_ODDS = np.log(np.array(RANK_LEVELS) / (1.0 - np.array(RANK_LEVELS)))
_UNIT = 1.0 / 4096  # of log-odds: what a rank is rounded up to
_ZERO = 32768  # the rank at even odds
_ABOVE = 65535  # above all levels; 0 is at or below the lowest


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveRule:
    """How the level is corrected.

    Attributes:
        level: The quantile level promised, in (0, 1).
        rate: How far the log-odds would move for a window that is exceeded if all were promised to be; 0: the level is
            not corrected.
        memory: Windows, not overlapping, after which a correction has faded to about a third. The longer, the more of
            a lasting drift is made up for, and the more noise is taken for drift.
        reach: The log-odds are raised by no more than this: 1 turns 0.9 into 0.96.
        reach_down: They are lowered by no more than this: 0.25 turns 0.9 into 0.875. Less, because quiet hours in which
            nothing is exceeded say little about the burst that ends them.
    """

    level: float
    rate: float = 0.03
    memory: float = 200.0
    reach: float = 1.0
    reach_down: float = 0.25

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise InvalidParameter(f"level must lie strictly between 0 and 1, not {self.level:g}")
        if not 0.0 <= self.rate <= 1.0:
            raise InvalidParameter(f"rate must lie between 0 and 1, not {self.rate:g}")
        if not 1.0 <= self.memory < math.inf:
            raise InvalidParameter(f"memory must be 1 window or more, not {self.memory:g}")
        for name, reach in (("reach", self.reach), ("reach_down", self.reach_down)):
            if not 0.01 <= reach <= 5.0:
                raise InvalidParameter(f"{name} must lie between 0.01 and 5, not {reach:g}")


def corrected_level(offset: float, rule: AdaptiveRule) -> float:
    """The level to forecast at so that `rule.level` of the outcomes come to lie below; in (0, 1)."""
    offset = _bounded(offset, rule)
    if offset == 0.0:
        return rule.level
    odds = rule.level / (1 - rule.level) * math.exp(offset)
    return min(max(odds / (1 + odds), 1e-6), 1 - 1e-6)


def knots(rule: AdaptiveRule) -> tuple[float, ...]:
    """The four levels at which a forecast must be known: the promised one, and as far as corrections reach."""
    return tuple(corrected_level(offset, rule) for offset in _offsets(rule))


def weights(offset: float, rule: AdaptiveRule) -> tuple[float, ...]:
    """How much of the quantile at each knot makes up the one at the corrected level; they sum to 1."""
    offset, at = _bounded(offset, rule), _offsets(rule)
    right = max(1, bisect_left(at, offset))
    share = (offset - at[right - 1]) / (at[right] - at[right - 1])
    out = [0.0] * len(at)
    out[right - 1], out[right] = 1.0 - share, share
    return tuple(out)


def ranks_of(outcomes: FloatArray, quantiles: FloatArray) -> NDArray[np.uint16]:
    """Where outcomes lay among their forecasts.

    Args:
        outcomes: What came; shape (N,).
        quantiles: What was forecast, at RANK_LEVELS; shape (N, levels), non-decreasing in level.

    Returns:
        The ranks, in order, of those that were seen: what is not finite teaches nothing. Shape (at most N,).
    """
    seen = np.isfinite(outcomes) & np.isfinite(quantiles).all(axis=1)
    came, at = outcomes[seen, None], quantiles[seen]
    above = (came > at).sum(axis=1)  # levels whose quantile was exceeded
    right = np.clip(above, 1, len(RANK_LEVELS) - 1)
    rows = np.arange(len(at))
    low, high = at[rows, right - 1], at[rows, right]
    share = np.divide(came[:, 0] - low, high - low, out=np.ones(len(at)), where=high > low)
    odds = _RANK_ODDS[right - 1] + share * (_RANK_ODDS[right] - _RANK_ODDS[right - 1])
    ranks = _rank(odds)
    ranks[above == 0] = 0
    ranks[above == len(RANK_LEVELS)] = _ABOVE
    return ranks.astype(np.uint16)


def offset_after(ranks: NDArray[np.uint16], rule: AdaptiveRule, *, steps: int) -> float:
    """The correction that these ranks teach, from none.

    Args:
        ranks: As of `ranks_of`, in the order of time.
        rule: How to correct.
        steps: How many forecasts have windows that overlap each other: the steps of a window, if each step issues one.
            What they teach together is what one of them alone would.

    Returns:
        To be added to the level's log-odds.

    Raises:
        InvalidParameter: `steps` is less than 1.
    """
    if steps < 1:
        raise InvalidParameter(f"steps must be 1 or more, not {steps}")
    promised = math.log(rule.level / (1 - rule.level))
    fading, rate, offset = (1 - 1 / rule.memory) ** (1 / steps), rule.rate / steps, 0.0
    for rank in ranks.tolist():
        covered = rank <= _ZERO + math.ceil((promised + offset) / _UNIT - 1e-6) < _ABOVE
        offset = _bounded(fading * offset + rate * (rule.level - covered), rule)
    return offset


def _rank(odds: FloatArray) -> FloatArray:
    return np.asarray(np.clip(_ZERO + np.ceil(odds / _UNIT - 1e-6), 1, _ABOVE - 1))


def _offsets(rule: AdaptiveRule) -> tuple[float, ...]:
    return -rule.reach_down, 0.0, rule.reach / 2, rule.reach


def _bounded(offset: float, rule: AdaptiveRule) -> float:
    """Within reach; an offset that was stored under another rule, or damaged, is no exception."""
    return min(max(offset, -rule.reach_down), rule.reach) if math.isfinite(offset) and rule.rate else 0.0
