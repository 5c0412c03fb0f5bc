from __future__ import annotations

import numpy as np
import pytest

from forecasting.boosting import KINDS, LEVELS, Features, Growth, anchors, fit_quantiles, sample, samples
from forecasting.errors import FitFailed
from forecasting.features.scalefree import Past, Scale
from forecasting.series import TimeSeries

GROWTH = Growth(trees=40, leaves=8, learning_rate=0.15, rows=2000, min_rows=20)


@pytest.mark.parametrize(
    ("step", "horizon", "want"),
    [
        (60, 1, (1,)),
        (60, 10, (1, 3, 5, 10)),
        (60, 60, (1, 3, 5, 10, 15, 30, 60)),
        (60, 240, (1, 3, 5, 10, 15, 30, 60, 120, 240)),
        (60, 1440, (1, 3, 5, 15, 60, 120, 240, 480, 1440)),
        (300, 12, (1, 2, 3, 6, 12)),
        (300, 2, (1, 2)),
    ],
)
def test_anchors_span_the_horizon(step: int, horizon: int, want: tuple[int, ...]) -> None:
    assert anchors(step, horizon) == want


def test_quantiles_are_learned_from_features() -> None:
    random = np.random.default_rng(1)
    x = random.uniform(0, 1, size=(4000, 3)).astype(np.float32)
    y = x[:, 0] * random.exponential(size=4000)
    ensembles = fit_quantiles(x, y, np.ones(4000), growth=GROWTH)
    new = random.uniform(0, 1, size=(4000, 3)).astype(np.float32)
    came = new[:, 0] * random.exponential(size=4000)
    covered = [float((came <= ensemble.predict(new)).mean()) for ensemble in ensembles]
    assert covered == pytest.approx(LEVELS, abs=0.03)


def test_trees_explain_what_the_start_leaves_over() -> None:
    x = np.linspace(0, 1, 2000, dtype=np.float32)[:, None]
    y = np.where(x[:, 0] > 0.5, 2.0, 1.0)
    start = np.full((2000, len(LEVELS)), 1.5)
    features = Features(x, min_rows=GROWTH.min_rows)
    for ensemble in features.fit_quantiles(y, np.ones(2000), growth=GROWTH, start=start):
        # of 63 bins, one on each side of the step may be cut through
        assert (np.abs(ensemble.predict(x) - (y - 1.5)) < 0.01).mean() > 1 - 2 / 63


def test_a_sample_ends_where_its_outcomes_do() -> None:
    values = np.arange(3000.0) % 977 + 1
    cut = 2000
    altered = values.copy()
    altered[cut:] = 1e5
    parts = [
        sample(Past(TimeSeries(0, 60, v), Scale(900.0, 0)), "peak", (1, 10), first=100, end=cut, rows=800)
        for v in (values, altered)
    ]
    assert len(parts[0]) == 800
    assert (np.bincount(parts[0].anchor) == 400).all()
    np.testing.assert_array_equal(parts[0].y, parts[1].y)
    np.testing.assert_array_equal(parts[0].x, parts[1].x)


def _day_and_night(days: int) -> Past:
    """Nine times the load by day, so that an error by day counts three times as much."""
    values = np.where(np.arange(days * 1440) % 1440 < 720, 900.0, 100.0)
    return Past(TimeSeries(0, 60, values), Scale(900.0, 0))


def test_rows_are_taken_as_often_as_they_count_where_there_are_many_to_choose_from() -> None:
    past, end = _day_and_night(4), 4 * 1440
    taken = samples(past, KINDS, (1, 10), first=720, end=end, rows=2000, as_they_count=True)
    count = np.sqrt((1.0 + 0.02) / (1 / 9 + 0.02))  # with what is added to loads
    for one in taken:
        assert len(one) == 2000
        assert (one.weight == 1).all()
        by_day = float((one.level > -1).mean())  # of seven half days, three
        assert by_day == pytest.approx(3 * count / (3 * count + 4), abs=0.01)


def test_rows_weigh_what_they_count_where_there_are_few() -> None:
    past = _day_and_night(2)
    taken, alike = (
        samples(past, ("value",), (1, 10), first=720, end=2160, rows=2000, as_they_count=how)[0]
        for how in (True, False)
    )
    np.testing.assert_array_equal(taken.x, alike.x)
    np.testing.assert_array_equal(taken.weight, np.exp(0.5 * taken.level))


def test_values_and_peaks_get_the_same_rows_together_and_apart() -> None:
    values = np.arange(3000.0) % 977 + 1
    values[500:520], values[1300] = np.nan, np.nan  # where some samples of a peak are missing, the others make it
    past = Past(TimeSeries(0, 60, values), Scale(900.0, 0))
    together = samples(past, KINDS, (1, 10, 60), first=100, end=2900, rows=900)
    for kind, one in zip(KINDS, together, strict=True):
        apart = sample(past, kind, (1, 10, 60), first=100, end=2900, rows=900)
        for name in ("x", "y", "spread", "level", "anchor", "weight"):
            np.testing.assert_array_equal(getattr(one, name), getattr(apart, name))


def test_without_the_library_the_fit_fails_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    with pytest.raises(FitFailed) as caught:
        fit_quantiles(np.zeros((9, 1), dtype=np.float32), np.zeros(9), np.ones(9), growth=GROWTH)
    assert str(caught.value).startswith(
        "growing trees needs LightGBM (and the system's libgomp1), which does not load: "
    )
