from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.boosting import LEVELS, Sample
from forecasting.features.seen import MISSING
from forecasting.nearby import Nearby, near_horizons

if TYPE_CHECKING:
    from forecasting.series import FloatArray

FEATURES = 101
ANCHORS = (1, 5, 15, 30)
SPREAD = np.float32(0.25)


def rows(n: int, *, seed: int, near: int = 3) -> tuple[Sample, FloatArray]:
    """Log-ratios that are 0.8 times the latest one, in spreads, and exponential noise; the fleet's answer is noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, FEATURES)).astype(np.float32)
    spread = np.full(n, SPREAD, dtype=np.float32)
    y = ((0.8 * x[:, 0] + random.exponential(size=n)) * spread).astype(np.float32)
    ones = np.ones(n, dtype=np.float32)
    return Sample(x, spread, 0 * ones, y, np.arange(n) % near, ones), random.normal(size=(n, len(LEVELS)))


@pytest.fixture(scope="module")
def nearby() -> Nearby:
    return Nearby.of(*rows(6000, seed=1), ANCHORS)


def asked(nearby: Nearby, sample: Sample, answer: FloatArray, ahead: int) -> FloatArray:
    """With 7 for what others say."""
    others = np.full((len(sample), len(LEVELS)), 7.0)
    return nearby.instead(others, sample.x, sample.spread, answer, np.full(len(sample), ahead))


@pytest.mark.parametrize(
    ("anchors", "step", "near"),
    [((1, 3, 5, 15, 30, 60), 60, (1, 3, 5, 15)), ((1, 2, 3, 6), 300, (1, 2, 3)), ((1, 2), 1800, ()), ((60,), 1, (60,))],
)
def test_near_is_a_quarter_of_an_hour(anchors: tuple[int, ...], step: int, near: tuple[int, ...]) -> None:
    assert near_horizons(anchors, step) == near


def test_a_line_and_the_scatter_around_it_are_found(nearby: Nearby) -> None:
    sample, answer = rows(4000, seed=2)
    found = asked(nearby, sample, answer, 5)
    right = (0.8 * sample.x[:, :1] - np.log(1 - np.array(LEVELS))) * SPREAD
    without = dataclasses.replace(nearby, lines=np.zeros_like(nearby.lines))
    off, lost = (np.abs(one - right).mean(axis=0) / SPREAD for one in (found, asked(without, sample, answer, 5)))
    assert off[0] < 0.2
    assert (off < 0.75 * lost).all()
    # what trees have learned by heart is for those to make good that calibrate on other rows
    assert (sample.y[:, None] <= found).mean(axis=0) == pytest.approx(LEVELS, abs=0.03)


def test_beyond_a_quarter_of_an_hour_it_passes_over_into_the_others(nearby: Nearby) -> None:
    sample, answer = rows(50, seed=3)
    assert nearby.beyond == 30
    near, half, far = (asked(nearby, sample, answer, ahead) for ahead in (15, 20, 30))
    share = np.log(30 / 20) / np.log(30 / 15)
    np.testing.assert_allclose(half, share * near + (1 - share) * 7.0)
    assert (far == 7.0).all()
    assert (asked(nearby, sample, answer, 90) == 7.0).all()


def test_where_all_anchors_are_near_the_others_are_not_heard() -> None:
    sample, answer = rows(600, seed=4)
    nearby = Nearby.of(sample, answer, ANCHORS[:3])
    assert nearby.beyond == 0
    assert (asked(nearby, sample, answer, 40) < 7.0).all()
    np.testing.assert_array_equal(asked(nearby, sample, answer, 40), asked(nearby, sample, answer, 15))


def test_horizons_between_two_lie_between_their_lines(nearby: Nearby) -> None:
    sample, answer = rows(50, seed=5)
    low, middle, high = (asked(nearby, sample, answer, ahead) for ahead in (1, 3, 5))
    share = np.log(3) / np.log(5)
    np.testing.assert_allclose(middle, (1 - share) * low + share * high)


def test_a_row_gets_alone_what_it_gets_in_company(nearby: Nearby) -> None:
    sample, answer = rows(200, seed=6)
    ahead = np.array([1, 2, 5, 20])[np.arange(200) % 4]
    others = np.zeros((200, len(LEVELS)))
    together = nearby.instead(others, sample.x, sample.spread, answer, ahead)
    for row in range(200):
        some = slice(row, row + 1)
        alone = nearby.instead(others[some], sample.x[some], sample.spread[some], answer[some], ahead[some])
        np.testing.assert_array_equal(alone[0], together[row])


def test_few_rows_keep_the_fleets_answer() -> None:
    sample, answer = rows(150, seed=7)
    nearby = Nearby.of(sample, answer, ANCHORS)
    assert (nearby.lines[:, :-3] == 0).all()
    np.testing.assert_array_equal(nearby.lines[0, -3:], np.eye(3, dtype=np.float32))


def test_what_is_unknown_or_never_seen_moves_no_line_far(nearby: Nearby) -> None:
    sample, answer = rows(50, seed=8)
    known = asked(nearby, sample, answer, 5)
    for value in (MISSING, 1e6, -1e6):
        sample.x[:] = value
        assert np.abs(asked(nearby, sample, answer, 5) - known).max() < 20 * SPREAD


def test_the_same_rows_make_the_same_lines_and_trees(nearby: Nearby) -> None:
    again = Nearby.of(*rows(6000, seed=1), ANCHORS)
    np.testing.assert_array_equal(again.lines, nearby.lines)
    np.testing.assert_array_equal(again.trees.leaf, nearby.trees.leaf)


def own_answer(nearby: Nearby, sample: Sample, answer: FloatArray) -> FloatArray:
    """At each row's own horizon."""
    nothing = np.zeros((len(sample), len(LEVELS)))
    return nearby.instead(nothing, sample.x, sample.spread, answer, np.array(ANCHORS)[sample.anchor])


def test_it_weighs_the_more_the_less_it_lost_beside_the_others(nearby: Nearby) -> None:
    sample, answer = rows(900, seed=9)
    right = (0.8 * sample.x[:, :1] - np.log(1 - np.array(LEVELS))) * SPREAD
    behind, even, ahead = (
        nearby.heard(sample, own.astype(np.float64), answer, ANCHORS).share
        for own in (right, own_answer(nearby, sample, answer), right + SPREAD)
    )
    assert behind < 0.5 < ahead
    assert even == 0.5
    assert ahead > 0.95


def test_its_share_is_that_in_the_mean_with_the_others(nearby: Nearby) -> None:
    sample, answer = rows(50, seed=10)
    alone, half = (
        asked(dataclasses.replace(nearby, share=share), sample, answer, ahead) for share, ahead in ((1.0, 5), (0.25, 5))
    )
    np.testing.assert_allclose(half, 0.25 * alone + 0.75 * 7.0)
    passing, full = (asked(dataclasses.replace(nearby, share=share), sample, answer, 20) for share in (0.25, 1.0))
    np.testing.assert_allclose(passing, 7.0 + 0.25 * (full - 7.0))


def test_it_does_not_leave_what_came_in_training_by_far() -> None:
    sample, answer = rows(6000, seed=1)
    sample.x[:, 0] = 8.0
    steep = Nearby.of(*rows(6000, seed=1), ANCHORS)
    lines = 50 * steep.lines
    found = asked(dataclasses.replace(steep, lines=lines), sample, answer, 5)
    trained = sample.y[sample.anchor == 1] / SPREAD
    assert found.max() == pytest.approx(2 * trained.max() * SPREAD)
    assert found.min() >= 2 * trained.min() * SPREAD - 1e-6
