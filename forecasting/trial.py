"""A fitted forecaster put to the test on samples that it has not seen: the ranks of the peaks that came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.adaptive import RANK_LEVELS, ranks_of
from forecasting.batch import predict_many
from forecasting.calibration import future, running_maximum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecasting.forecaster import FittedForecaster
    from forecasting.series import TimeSeries

__all__ = ["put_to_test"]


def put_to_test(
    fitted: FittedForecaster, series: TimeSeries, *, tested: int, steps: int, horizon: int
) -> NDArray[np.uint16]:
    """Forecasts from each of the last samples whose window is over, and ranks what came.

    Args:
        fitted: Not fitted to any of the samples tested.
        series: The past, and those samples.
        tested: Samples at the end; the forecasts are issued from these.
        steps: Of the window whose peak is looked at.
        horizon: Steps to forecast, as it is done when it counts.

    Returns:
        As of `forecasting.adaptive.ranks_of`, in the order of time; at most `tested - steps` of them.
    """
    origins = np.arange(len(series) - tested, len(series) - steps, dtype=np.int64)
    if not len(origins):
        return np.empty(0, dtype=np.uint16)
    batch = predict_many(fitted, series, origins, horizon=max(steps, horizon), levels=RANK_LEVELS)
    came = running_maximum(future(series.values, origins, steps))[:, -1]
    return ranks_of(came, batch.peak[:, :, steps - 1])
