from __future__ import annotations

import numpy as np
import pytest

from forecasting.features.pasts import Rows
from forecasting.features.sequence import TOLD, inputs
from forecasting.local import INPUTS, looked_at, regression
from forecasting.series import TimeSeries
from tests.support.networks import daily_load


def test_it_finds_what_is_linear_and_draws_it_towards_nothing() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(4000, 2, 3))
    y = x @ [2.0, -1.0, 0.0] + 0.5
    weights, said = regression(x, y, np.ones_like(y))
    # of inputs of variance 1, a penalty of 0.2 of the examples takes a sixth
    np.testing.assert_allclose(weights, [[2 / 1.2, -1 / 1.2, 0.0, 0.5]] * 2, atol=0.08)
    assert np.abs(said - y).mean() == pytest.approx(np.abs(y - 0.5).mean() / 6, rel=0.1)


def test_what_is_said_of_a_row_was_learned_from_other_times() -> None:
    random = np.random.default_rng(2)
    x, y = random.normal(size=(100, 1, 4)), random.normal(size=(100, 1))
    weight = random.uniform(0.5, 2, size=(100, 1))
    _, said = regression(x, y, weight)
    block = slice(40, 60)
    without = y.copy()
    without[block] = np.nan
    weights, _ = regression(x, without, weight)
    np.testing.assert_allclose(said[block, 0], x[block, 0] @ weights[0, :-1] + weights[0, -1], rtol=1e-6)


def test_an_ask_whose_outcomes_are_all_unknown_gets_no_weights() -> None:
    x = np.random.default_rng(3).normal(size=(50, 2, 3))
    y = np.stack([np.full(50, np.nan), x[:, 1, 0]], axis=1)
    weights, said = regression(x, y, np.ones_like(y))
    assert not weights[0].any()
    assert not said[:, 0].any()
    assert weights[1, 0] > 0.5


def test_smoothed_levels_are_those_of_the_last_day() -> None:
    minutes = np.arange(3 * 1440)
    series = TimeSeries(0, 60, np.where(minutes >= 3 * 1440 - 45, 1.0, 3.0))
    found = inputs(Rows.of(series, np.array([len(series) - 1]), 1.0), [5, 60])
    looks = looked_at(found)
    assert looks.shape == (1, 4, INPUTS)
    np.testing.assert_array_equal(looks[:, :, :TOLD], found.asks[:, :, :TOLD])
    # 45 minutes ago it fell: a mean that forgets in 5 minutes knows no more of it, one that takes 6 hours does
    ratio = np.log(3.02 / 1.02) / found.spread[0, 1]
    expected = ratio * np.exp(-45 / np.array([5.0, 15.0, 45.0, 120.0, 360.0]))
    np.testing.assert_allclose(looks[0, 1, TOLD:], expected, rtol=0.05)


def test_a_series_unit_does_not_matter() -> None:
    looks = [
        looked_at(inputs(Rows.of(daily_load(scale, 1), np.array([700]), 2 * scale), [1, 12])) for scale in (1.0, 1e6)
    ]
    np.testing.assert_allclose(looks[0], looks[1], atol=1e-4)
