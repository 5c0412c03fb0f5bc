"""Loads that stand for none: between idle and busy, forecasts are exactly 0 or something that occurs.

Methods that work on logarithms of loads tell an idle minute from next to nothing by a floor, and answer a little above
0 where nothing comes. A quantile of a load that is 0 with a higher probability than its level is 0: what is nearer to
none than to all but a few of the loads that were seen, beside many that were none, is taken for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecasting.series import FloatArray

__all__ = ["idle_below"]

# So few loads, in one that is none, are nearer to none than the next: up to 0.95, quantiles of such a load are 0.
_RARE = 0.05


def idle_below(values: FloatArray, most: float) -> float:
    """Forecasts below this load mean none; 0 for a series that never idles.

    Args:
        values: Loads, missing ones NaN; what is not above 0 is none.
        most: The highest threshold there may be: what the method cannot tell from none.
    """
    loads = values[values > 0]
    idle = int(np.count_nonzero(values <= 0))
    rank = int(_RARE * idle)
    if not idle:
        return 0.0
    return most if rank >= loads.size else min(most, float(np.partition(loads, rank)[rank]) / 2)
