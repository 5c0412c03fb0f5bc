from __future__ import annotations

import numpy as np
import pytest

from forecasting.quantiles import at_depth, depth, depths_of, interpolated

AT = depth((0.5, 0.9, 0.97))


def test_depth_is_odd_around_the_median() -> None:
    assert depth(0.5) == 0
    assert depth(0.9) == pytest.approx(-np.log(0.2))
    assert depth((0.1, 0.03)) == pytest.approx(-depth((0.9, 0.97)))


def test_learned_quantiles_come_back_and_tails_are_exponential() -> None:
    # of a standard exponential beyond its median, by the same formula: quantiles are linear in depth
    knots = np.array([[1.0, 1.0 + AT[1], 1.0 + AT[2]]])
    wanted = depth((0.2, 0.5, 0.7, 0.9, 0.95, 0.97, 0.999))
    assert at_depth(knots, AT, wanted)[0] == pytest.approx(1 + wanted, abs=1e-3)


def test_depths_are_the_inverse_of_quantiles() -> None:
    random = np.random.default_rng(2)
    knots = np.sort(random.normal(size=(50, 3)), axis=1)
    wanted = depth((0.05, 0.4, 0.6, 0.92, 0.96, 0.99))
    for column, back in enumerate(at_depth(knots, AT, wanted).T):
        assert depths_of(back, knots, AT) == pytest.approx(np.full(50, wanted[column]))


def test_crossed_or_equal_quantiles_are_put_in_order() -> None:
    out = at_depth(np.array([[2.0, 1.0, 3.0], [1.0, 1.0, 1.0]]), AT, depth((0.1, 0.5, 0.9, 0.97, 0.99)))
    assert (np.diff(out, axis=1) > 0).all()


def test_straight_lines_between_anchors_are_those_of_numpy() -> None:
    random = np.random.default_rng(4)
    rows, anchors, asked = random.normal(size=(4, 3, 6)), (1, 2, 3, 7, 11, 20), [1, 2, 4, 7, 10, 19, 20, 21, 90]
    found = interpolated(rows, anchors, asked)
    for row, one in zip(rows.reshape(-1, 6), found.reshape(-1, len(asked)), strict=True):
        assert one.tolist() == np.interp(asked, anchors, row).tolist()
    assert interpolated(rows[..., :1], anchors[:1], asked).tolist() == np.repeat(rows[..., :1], 9, axis=2).tolist()
