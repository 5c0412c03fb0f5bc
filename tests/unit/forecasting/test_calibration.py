from __future__ import annotations

import numpy as np
import pytest

from forecasting.calibration import (
    GRID,
    Bands,
    conformal_quantiles,
    future,
    level_weights,
    running_maximum,
)
from forecasting.errors import InvalidForecast


def test_the_quantile_at_level_p_has_rank_p_times_n_plus_1() -> None:
    residuals = np.arange(1.0, 100.0)[:, None]  # 99 of them: rank 100 p
    assert conformal_quantiles(residuals, (0.05, 0.5, 0.9, 0.99))[:, 0] == pytest.approx([5, 50, 90, 99])


def test_missing_residuals_do_not_count() -> None:
    residuals = np.concatenate([np.arange(1.0, 100.0), np.full(50, np.nan)])[::-1, None]
    assert conformal_quantiles(residuals, (0.9,))[0, 0] == pytest.approx(90)


def test_levels_beyond_the_residuals_have_an_exponential_tail() -> None:
    residuals = np.arange(1.0, 20.0)[:, None]  # reaches 0.95 at most
    q90, q95, q99, q999 = conformal_quantiles(residuals, (0.9, 0.95, 0.99, 0.999))[:, 0]
    assert (q90, q95) == pytest.approx((18, 19))
    # from 0.8, the reference inside, to 0.95 the level's odds halve twice; on from there at that pace
    pace = (19 - 16) / np.log(0.2 / 0.05)
    assert q99 == pytest.approx(19 + pace * np.log(0.05 / 0.01))
    assert q999 == pytest.approx(19 + pace * np.log(0.05 / 0.001))


def test_the_tails_mirror_each_other() -> None:
    residuals = np.random.default_rng(1).normal(size=(40, 3))
    levels = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
    up, down = conformal_quantiles(residuals, levels), conformal_quantiles(-residuals, levels)
    assert up == pytest.approx(-down[::-1])
    assert (np.diff(up, axis=0) >= 0).all()


def test_too_few_residuals_say_nothing() -> None:
    assert np.isnan(conformal_quantiles(np.arange(7.0)[:, None], (0.5, 0.9))).all()
    assert not np.isnan(conformal_quantiles(np.arange(8.0)[:, None], (0.5, 0.9, 0.999))).any()


@pytest.mark.parametrize("n", [20, 100, 400])
def test_coverage_is_what_was_promised(n: int) -> None:
    random = np.random.default_rng(n)
    levels = (0.1, 0.5, 0.9, 0.95)
    residuals = random.exponential(size=(n, 2000))
    new = random.exponential(size=2000)
    covered = (new <= conformal_quantiles(residuals, levels)).mean(axis=1)
    assert covered == pytest.approx(levels, abs=0.02)


def test_level_weights_interpolate_and_give_the_grid_back() -> None:
    weights = level_weights(GRID)
    assert weights == pytest.approx(np.eye(len(GRID)))
    assert level_weights((0.00001, 0.42, 0.997, 0.9999999)).sum(axis=1) == pytest.approx(1)
    with pytest.raises(InvalidForecast):
        level_weights((0.5, 1.0))


def test_the_future_is_what_comes_after_and_nan_past_the_end() -> None:
    came = future(np.arange(5.0), np.array([0, 3]), 3)
    assert came == pytest.approx(np.array([[1, 2, 3], [4, np.nan, np.nan]]), nan_ok=True)


def test_a_running_maximum_survives_a_few_missing_steps() -> None:
    actual = np.array([[1.0, 3, np.nan, 2, 5, 4], [np.nan, 1, 2, 3, 4, 5]])
    expected = [[1, 3, np.nan, np.nan, 5, 5], [np.nan, np.nan, np.nan, np.nan, 4, 5]]
    assert running_maximum(actual) == pytest.approx(np.array(expected), nan_ok=True)


def _walks(n: int, horizon: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.cumsum(np.random.default_rng(3).normal(size=(n, horizon)), axis=1)


def test_bands_of_values_and_of_peaks_differ() -> None:
    walks = _walks(4000, 30)
    bands = Bands.of(walks, np.zeros_like(walks))
    values, peak = bands.apply(np.zeros((1, 30)), (0.5, 0.9))
    # a walk's value is symmetric, its running maximum's median is not (reflection principle)
    assert values[0, 0, 29] == pytest.approx(0, abs=0.3)
    assert peak[0, 0, 29] == pytest.approx(0.674 * np.sqrt(30), rel=0.15)
    assert peak[0, 1, 29] == pytest.approx(1.645 * np.sqrt(30), rel=0.15)
    assert values[0, 1, 29] == pytest.approx(1.282 * np.sqrt(30), rel=0.15)


def test_bands_go_on_growing_beyond_the_horizon_as_they_grew_before() -> None:
    walks = _walks(4000, 16)
    bands = Bands.of(walks, np.zeros_like(walks))
    values, _ = bands.apply(np.zeros((1, 64)), (0.9,))
    assert values[0, 0, 63] / values[0, 0, 15] == pytest.approx(2, rel=0.1)
    noise = np.random.default_rng(4).normal(size=(4000, 16))
    values, _ = Bands.of(noise, np.zeros_like(noise)).apply(np.zeros((1, 64)), (0.9,))
    assert values[0, 0, 63] / values[0, 0, 15] == pytest.approx(1, rel=0.15)


def test_horizons_without_residuals_are_extrapolated_from_nearer_ones() -> None:
    walks = _walks(500, 20)
    walks[:, 10:] = np.nan
    bands = Bands.of(walks, np.zeros_like(walks))
    assert np.isfinite(bands.values).all()
    assert bands.values[GRID.index(0.9), 19] > bands.values[GRID.index(0.9), 9]


def test_long_horizons_are_stored_thinly_and_interpolated() -> None:
    walks = _walks(300, 1000)
    bands = Bands.of(walks, np.zeros_like(walks))
    assert bands.values.shape[1] <= 64
    values, peak = bands.apply(np.zeros((2, 1000)), (0.1, 0.9))
    assert values.shape == peak.shape == (2, 2, 1000)
    assert values[0, 1, 999] > values[0, 1, 499] > values[0, 1, 99]


def test_a_scale_widens_the_bands_of_rough_origins() -> None:
    noise = np.random.default_rng(5).normal(size=(4000, 3))
    scale = np.where(np.arange(4000) % 2, 10.0, 1.0)
    bands = Bands.of(noise * scale[:, None], np.zeros_like(noise), scale)
    values, _ = bands.apply(np.zeros((2, 3)), (0.9,), np.array([1.0, 10.0]))
    assert values[0, 0] == pytest.approx([1.282] * 3, rel=0.1)
    assert values[1, 0] == pytest.approx(10 * values[0, 0])


def test_steps_that_are_past_already_are_skipped() -> None:
    walks = _walks(1000, 10)
    bands = Bands.of(walks, np.zeros_like(walks))
    paths = np.arange(10.0, 0, -1)[None, :]
    whole, _ = bands.apply(paths, (0.5,))
    values, peak = bands.apply(paths, (0.5,), skip=4)
    assert values == pytest.approx(whole[:, :, 4:])
    assert peak.shape == (1, 1, 6)
    assert peak[0, 0, 0] < 10  # the highest of the path was in the steps skipped


def test_nothing_known_gives_bands_of_no_width() -> None:
    bands = Bands.of(np.full((5, 4), np.nan), np.zeros((5, 4)))
    assert (bands.values == 0).all()
    assert bands.count == 0
    values, peak = Bands.none().apply(np.ones((1, 4)), (0.1, 0.9))
    assert (values == 1).all()
    assert (peak == 1).all()
