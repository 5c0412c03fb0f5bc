"""What each of two experts weighs in their mean: by what they lost on rows that neither has seen.

Source: weights from relative losses as in Aiolfi and Timmermann, "Persistence in forecasting performance and
conditional combination strategies", Journal of Econometrics 135, 2006.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.boosting import LEVELS
from forecasting.evaluation import pinball_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.boosting import Sample
    from forecasting.series import FloatArray

__all__ = ["mixed", "share_of", "shares_of"]

# Relative losses count to this power.
_SHARPNESS = 8.0


def mixed(experts: tuple[FloatArray, FloatArray], share: FloatArray) -> FloatArray:
    """Their mean, `share` that of the last; shapes (N, LEVELS), the share's (N, 1)."""
    return np.asarray((1 - share) * experts[0] + share * experts[1])


def shares_of(after: Sample, experts: tuple[FloatArray, FloatArray], count: int, near: int) -> FloatArray:
    """The last expert's share at each anchor: one for the near ones, which others answer for, one for the rest.

    Args:
        after: Rows kept from both.
        experts: Their log-ratios at LEVELS; each of shape (N, LEVELS).
        count: How many anchors there are.
        near: How many of them are near.

    Returns:
        Shape (count,); 1 where no row tells.
    """
    out = np.ones(count)
    for some in (range(near), range(near, count)):
        out[some] = share_of(after, experts, some)
    return out


def share_of(
    after: Sample, experts: tuple[FloatArray, FloatArray], anchors: Sequence[int], *, sharpness: float = _SHARPNESS
) -> float:
    """The last expert's share by the pinball losses of loads, each anchor's relative, to some power.

    Args:
        after: Rows kept from both.
        experts: Their log-ratios at LEVELS; each of shape (N, LEVELS).
        anchors: Those that count.
        sharpness: The power.

    Returns:
        1 where no row tells.
    """
    anchors = [i for i in anchors if (after.anchor == i).any()]
    if not anchors:
        return 1.0
    level = after.level[:, None].astype(np.float64)
    came = np.exp(level + after.y[:, None])
    losses = [pinball_loss(came, np.exp(np.minimum(level + knots, 30.0)), np.array(LEVELS)) for knots in experts]
    means = np.stack([[loss[after.anchor == i].mean(axis=0) for i in anchors] for loss in losses])
    own, further = (means / np.maximum(means.mean(axis=0), 1e-12)).mean(axis=(1, 2))
    odds = (max(own, 1e-6) / max(further, 1e-6)) ** sharpness
    return float(np.float32(odds / (1 + odds)))
