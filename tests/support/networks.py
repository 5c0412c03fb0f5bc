"""Small recurrent networks and series, for tests that need one and do not care which."""

from __future__ import annotations

import numpy as np

from forecasting.features.sequence import ASKS, STATICS, TOKENS
from forecasting.network import KNOTS, Network
from forecasting.series import TimeSeries

__all__ = ["daily_load", "random_network"]


def random_network(*, seed: int = 1, units: int = 6, dense: int = 8, series: int = 0) -> Network:
    """A network of random weights: sound, and of no use."""
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return random.normal(0, 0.4, shape).astype(np.float32)

    return Network(
        cell_input=weights(TOKENS[1], 4 * units),
        cell_state=weights(units, 4 * units),
        cell_bias=weights(4 * units),
        ask=weights(ASKS, dense),
        origin=weights(units + STATICS, dense),
        first_bias=weights(dense),
        second=weights(dense, dense),
        second_bias=weights(dense),
        out=weights(dense, len(KNOTS)),
        out_bias=weights(len(KNOTS)),
        series=series,
        story="random",
    )


def daily_load(scale: float, seed: int, *, days: float = 3, step: int = 300) -> TimeSeries:
    """A day's rhythm with noise."""
    random = np.random.default_rng(seed)
    n = int(days * 86400 / step)
    day = np.arange(n) * step / 86400
    noise = random.normal(0, 0.1, n)
    return TimeSeries(1_700_006_400 // step * step, step, scale * np.maximum(2 + np.sin(2 * np.pi * day) + noise, 0))
