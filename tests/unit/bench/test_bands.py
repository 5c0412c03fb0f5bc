"""Naive forecasts with bands of several kinds, and one method's losses held against another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from forecasting.models.naive import Naive
from forecasting.series import TimeSeries
from tests.bench.against import ASKED, kept
from tests.bench.against import losses as losses_of
from tests.bench.bands import losses, off
from tests.bench.forecast import DAY, LEVELS, STRIDE, judge

if TYPE_CHECKING:
    from pathlib import Path

PER_DAY = 288


def made(logs: np.ndarray[tuple[int], np.dtype[np.float64]]) -> TimeSeries:
    return TimeSeries(0, 300, 100 * np.exp(logs))


def test_what_repeats_is_forecast_without_loss_from_a_day_or_a_week_ago() -> None:
    series = made(np.tile(np.sin(2 * np.pi * np.arange(PER_DAY) / PER_DAY), 30))
    for path in ("day", "week"):
        np.testing.assert_allclose(losses(series, 60, path=path, share=0.1, when="daily"), 0.0, atol=1e-9)
    assert losses(series, 60, path="last", share=0.1, when="daily").min() > 0.1


def test_bands_are_of_the_part_that_they_are_calibrated_on() -> None:
    """Rough in the last third of training and after: what is calibrated on all of it is too narrow."""
    random = np.random.default_rng(4)
    size = np.where(np.arange(20 * PER_DAY) < 8 * PER_DAY, 0.02, 0.3)
    series = made(random.normal(0, 1, size.size) * size)
    for share in (None, 0.1):
        all_of_it, last_third = (losses(series, 15, path="last", share=share, when=w) for w in ("once", "last third"))
        assert (last_third[1:] < 0.97 * all_of_it[1:]).all()  # above the median


def test_proportional_bands_serve_a_load_whose_moves_are_proportional() -> None:
    random = np.random.default_rng(4)
    at = np.arange(20 * PER_DAY)
    series = made(2 * np.sin(2 * np.pi * at / PER_DAY / 2.3) + random.normal(0, 0.2, at.size))
    additive, proportional = (losses(series, 5, path="last", share=share, when="once") for share in (None, 0.01))
    assert (proportional[1:] < 0.9 * additive[1:]).all()


def test_losses_are_read_from_what_the_bench_kept(tmp_path: Path) -> None:
    series = made(np.random.default_rng(2).normal(0, 0.2, 8 * PER_DAY))
    found = judge(series, Naive(), STRIDE, DAY)
    (tmp_path / f"one-naive-{STRIDE}-{DAY}.msgpack").write_bytes(msgspec.msgpack.encode(found))
    table = losses_of(kept(tmp_path, "one", "naive"), series.step)
    assert table.shape == (len(ASKED), len(LEVELS))
    row = ASKED.index(("values", 15))
    assert table[row, 1] == found.evaluation.values[3].pinball[0.9]
    # `naive` has additive bands calibrated with each fit: these are the same but for fewer origins to calibrate on
    same = losses(series, 15, path="last", share=None, when="daily")
    assert table[row].tolist() == pytest.approx(same.tolist(), rel=0.03)


def test_how_far_ratios_are_from_known_ones_is_told_from_level_to_level() -> None:
    ratios = {"day-15": np.array([1.0, 2.0, 2.0, 4.0]), "week-60": np.array([1.0, 1.0, 1.0, 1.0])}
    alike = {what: 1.3 * each for what, each in ratios.items()}  # other traces: all levels alike
    assert off(ratios, alike) == pytest.approx(0.0, abs=1e-12)
    assert off(ratios, {"day-15": np.array([1.0, 2.0, 2.0, 4.0 * np.e])}) == pytest.approx(np.sqrt(1 / 3))
    assert off(ratios, {}) == 0.0
