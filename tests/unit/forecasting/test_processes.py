"""Same bytes in, same bytes out, in whichever process: replicas must agree."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np

from forecasting.batch import predict_many
from forecasting.registry import default_registry
from forecasting.serialise import dumps
from forecasting.series import TimeSeries

LEVELS = (0.5, 0.9, 0.95)


def digests() -> list[str]:
    """For each forecaster: of what is fitted, and of its forecasts, from a day and a half with gaps on."""
    n = np.arange(720)
    values = 100 + 60 * np.sin(2 * np.pi * n / 288) + np.random.default_rng(3).gamma(2, 5, n.size) + 90.0 * (n % 24 < 3)
    values[[100, 101, 400, 719]] = np.nan
    series = TimeSeries(1_700_006_400, 300, values)
    out = []
    for name in default_registry().names():
        fitted = default_registry().create(name).fit(series.first(600), horizon=6, levels=LEVELS)
        batch = predict_many(fitted, series, np.arange(600, 719, 7), horizon=6, levels=LEVELS)
        out += [f"{name} {hashlib.sha256(made).hexdigest()}" for made in (dumps(fitted), batch.peak.tobytes())]
    return out


def test_every_forecaster_gives_the_same_bytes_in_another_process() -> None:
    script = "from tests.unit.forecasting.test_processes import digests; print(*digests(), sep='\\n')"
    environ = {
        **os.environ,
        "PYTHONHASHSEED": "77",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "TZ": "Asia/Tokyo",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False, env=environ
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == digests()
