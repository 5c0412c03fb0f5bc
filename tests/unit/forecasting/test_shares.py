from __future__ import annotations

import numpy as np
import pytest

from forecasting.boosting import LEVELS, Sample
from forecasting.shares import mixed, shares_of


def rows(n: int) -> Sample:
    ones = np.ones(n, dtype=np.float32)
    y = np.random.default_rng(1).normal(size=n).astype(np.float32)
    return Sample(np.zeros((n, 1), dtype=np.float32), ones, 0 * ones, y, np.arange(n) % 4, ones)


def test_who_lost_less_weighs_more_near_and_far_apart() -> None:
    after = rows(800)
    right = np.tile([0.0, 1.28, 1.88], (800, 1))
    near = after.anchor[:, None] < 2
    shares = shares_of(after, (np.where(near, right + 0.5, right), np.where(near, right, right + 0.5)), 4, 2)
    assert shares[0] == shares[1] > 0.6
    assert shares[2] == shares[3] < 0.4
    assert len(set(shares_of(after, (right, right + 0.5), 4, 0))) == 1


def test_alike_experts_weigh_the_same_and_without_rows_it_is_the_last_alone() -> None:
    after = rows(800)
    knots = np.zeros((800, len(LEVELS)))
    assert shares_of(after, (knots, knots), 6, 2) == pytest.approx([0.5] * 6)
    none = np.zeros((0, len(LEVELS)))
    assert (shares_of(rows(0), (none, none), 3, 2) == 1.0).all()


def test_a_share_is_that_of_the_last() -> None:
    one, two = np.zeros((2, 3)), np.ones((2, 3))
    np.testing.assert_allclose(mixed((one, two), np.array([[0.25], [1.0]])), [[0.25] * 3, [1.0] * 3])
