"""Peaks as users get them: read at the level that earlier fits have taught, as the engine reads them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from forecasting.adaptive import RANK_LEVELS, offset_after, ranks_of
from forecasting.calibration import future, running_maximum
from forecasting.evaluation import pinball_loss
from scaler.decision.reading import levels_for, rule_for, weights_at
from scaler.engine.alignment import lives_tested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.evaluation import Refit
    from forecasting.series import TimeSeries

__all__ = ["LEVELS_READ", "QUANTILES", "AsRead", "as_read"]

QUANTILES = (0.9, 0.95)
LEVELS_READ = frozenset(RANK_LEVELS).union(*(levels_for(quantile) for quantile in QUANTILES))
"""Levels to forecast at."""


@dataclass(frozen=True, slots=True)
class AsRead:
    """How one quantile of one window's peak did.

    Attributes:
        coverage: Share of peaks at or below it.
        loss: Its mean pinball loss in parts of that without any correction.
    """

    coverage: float
    loss: float


def as_read(
    series: TimeSeries, refits: Sequence[Refit], *, horizon: int, quantile: float, stride: int, refit_every: int
) -> AsRead:
    """The peak over `horizon` steps at one quantile: nothing is learned before the second fit.

    Args:
        series: What was forecast.
        refits: At LEVELS_READ, at least.
        horizon: Of the window, in steps.
        quantile: One of QUANTILES.
        stride: Steps between origins.
        refit_every: Steps between fits.
    """
    levels = refits[0].batch.levels
    ranked, read = ([levels.index(level) for level in some] for some in (RANK_LEVELS, levels_for(quantile)))
    back = lives_tested(longest=refit_every, step=series.step)
    ends = [int(refit.positions[0]) for refit in refits if len(refit.positions)] + [len(series)]
    ranks: list[np.ndarray[tuple[int], np.dtype[np.uint16]]] = []
    covered, losses = [], []
    for refit, (_, end) in zip((r for r in refits if len(r.positions)), pairwise(ends), strict=True):
        lately = ranks[-back:]
        learned = np.concatenate(lately) if lately else np.empty(0, dtype=np.uint16)
        offset = offset_after(learned, rule_for(quantile), steps=max(1, horizon // stride))
        came = running_maximum(future(series.values, refit.positions, horizon))[:, -1]
        peaks = refit.batch.peak[:, :, horizon - 1]
        served = peaks[:, read] @ np.array(weights_at(offset, quantile))
        known = ~np.isnan(came) & ~np.isnan(served)
        covered.append((came <= served)[known])
        both = (served, peaks[:, levels.index(quantile)])
        losses.append(np.stack([pinball_loss(came, one, quantile)[known] for one in both]))
        over = (
            refit.positions + horizon < end
        )  # a window that is under way when the next fit is due teaches nothing yet
        ranks.append(ranks_of(came[over], peaks[over][:, ranked]))
    mine, plain = np.concatenate(losses, axis=1).mean(axis=1)
    return AsRead(float(np.concatenate(covered).mean()), float(mine / plain))
