"""What forecasts of the recurrent network cost: `pytest -m bench -s tests/bench/test_lstm.py`."""

from __future__ import annotations

import time

import numpy as np
import pytest

from forecasting.generate import generate_series
from forecasting.models.lstm import FittedLstm, Lstm
from forecasting.series import TimeSeries

LEVELS = (0.5, 0.9, 0.95, 0.99)


@pytest.mark.bench
def test_one_series_and_a_thousand() -> None:
    series = [generate_series(np.random.default_rng(n), days=16) for n in range(5)]
    fitted = [Lstm().fit(one, horizon=60, levels=LEVELS) for one in series]
    took = []
    for one, model in zip(series * 20, fitted * 20, strict=True):
        began = time.process_time()
        model.predict(one, horizon=60, levels=LEVELS)
        took.append(time.process_time() - began)
    print(
        f"\none series, 60 minutes, 4 levels: median {1000 * np.median(took):.2f} ms CPU, most {1000 * max(took):.2f}"
    )
    # a thousand series in memory, not five in the processor's cache
    many = [TimeSeries(one.start, one.step, one.values) for one in series * 200]
    began = time.process_time()
    FittedLstm.predict_all(fitted * 200, many, horizon=60, levels=LEVELS)
    print(f"1,000 series in one batch: {time.process_time() - began:.3f} ms CPU each")
