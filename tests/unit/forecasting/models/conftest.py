from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_700_006_400


@pytest.fixture
def daily() -> Callable[..., TimeSeries]:
    """Makes a series with a daily rhythm and correlated noise."""

    def make(*, days: float = 5, step: int = 300, noise: float = 5.0, seed: int = 0) -> TimeSeries:
        n = int(days * 86400 / step)
        random = np.random.default_rng(seed)
        wave = 100 + 60 * np.sin(2 * np.pi * (START + step * np.arange(n)) / 86400)
        left = np.convolve(random.normal(0, noise, n + 4), [0.4, 0.3, 0.2, 0.1, 0.1], mode="valid")
        return TimeSeries(START, step, np.maximum(wave + left, 0))

    return make
