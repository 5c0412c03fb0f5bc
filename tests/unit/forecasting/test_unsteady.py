from __future__ import annotations

import numpy as np
import pytest

from forecasting.generate import generate_series
from forecasting.unsteady import unsteadied

DAY = 1440
TIME = 60 * np.arange(4 * DAY, dtype=np.float64) + 1_736_121_600
LOAD = np.where(np.arange(4 * DAY) % DAY < DAY // 2, 1.0, 4.0)


def drawn(count: int) -> list[np.ndarray]:
    return [unsteadied(np.random.default_rng(seed), LOAD, TIME) for seed in range(count)]


def test_a_seed_names_a_series() -> None:
    one, same, other = (
        generate_series(np.random.default_rng(seed), days=2, unsteady=True) for seed in (5, 5, 6)
    )  # fmt: skip
    assert one == same
    assert one != other


def test_loads_stay_loads_and_most_become_unsteady() -> None:
    made = drawn(200)
    for load in made:
        assert load.shape == LOAD.shape
        assert np.isfinite(load).all()
        assert load.min() >= 0
    changed = [not np.array_equal(load, LOAD) for load in made]
    assert 100 <= sum(changed) <= 180  # of four kinds, with 0.5, 0.2, 0.3 and 0.2: 0.78 of them
    assert 5 <= sum(bool((load == 0).mean() > 0.2) for load in made) <= 60  # little work: idle between
    rough = [float(np.abs(np.diff(load)).mean() / load.mean()) for load in made]
    assert np.quantile(rough, 0.1) < 0.01
    assert np.quantile(rough, 0.9) > 0.3


def test_there_is_more_work_where_there_is_more_load() -> None:
    """The day's shape survives: whatever is drawn, nights are busier by about what they were."""
    nights = LOAD > 1
    ratios = [float(load[nights].mean() / load[~nights].mean()) for load in drawn(200)]
    assert np.median(ratios) == pytest.approx(4.0, rel=0.1)
    assert np.quantile(ratios, 0.1) > 1


def test_a_load_of_nothing_stays_nothing() -> None:
    nothing = np.zeros(DAY)
    for seed in range(40):
        assert not unsteadied(np.random.default_rng(seed), nothing, TIME[:DAY]).any()


def test_one_sample_is_enough() -> None:
    for seed in range(40):
        assert np.isfinite(unsteadied(np.random.default_rng(seed), LOAD[:1], TIME[:1])).all()
