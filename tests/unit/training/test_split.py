from __future__ import annotations

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.training.split import Split


@pytest.mark.parametrize(
    ("count", "unseen", "whole"), [(4, 0.5, 0), (5, 0.1, 1), (5, 0.0, 0), (14, 0.1, 1), (20, 0.1, 2)]
)
def test_so_many_series_are_kept_back_whole(count: int, unseen: float, whole: int) -> None:
    series = TimeSeries(0, 60, np.ones(100))
    split = Split.of([(f"series {n}", series) for n in range(count)], test=0.2, unseen=unseen)
    assert sum(one.unseen for one in split.test) == whole
    assert len(split.train) == count - whole
