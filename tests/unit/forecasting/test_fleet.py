from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.boosting import KINDS, Growth
from forecasting.errors import FitFailed, InvalidParameter, InvalidState
from forecasting.features.scalefree import Past, Scale
from forecasting.fleet import (
    PRETRAINED,
    FleetModel,
    Lessons,
    generated_lessons,
    grown_fleet,
    known_fleet,
    lessons_of,
    remember_fleet,
    train_fleet,
)
from forecasting.models.naive import Naive
from forecasting.serialise import dumps
from forecasting.series import TimeSeries

GROWTH = Growth(trees=5, leaves=8, learning_rate=0.3, rows=2000, min_rows=20)


def daily(scale: float, seed: int, *, days: int = 4) -> TimeSeries:
    random = np.random.default_rng(seed)
    day = np.arange(days * 288) / 288
    return TimeSeries(1_700_006_400, 300, scale * (2 + np.sin(2 * np.pi * day) + 0.1 * random.normal(size=day.size)))


@pytest.fixture(scope="module")
def model() -> FleetModel:
    return train_fleet([daily(1.0, 1), daily(1e6, 2)], growth=GROWTH)


def test_training_twice_gives_the_same_bytes(model: FleetModel) -> None:
    again = train_fleet([daily(1.0, 1), daily(1e6, 2)], growth=GROWTH)
    assert again.to_bytes() == model.to_bytes()
    assert again.digest() == model.digest()


def test_bytes_come_back_as_the_model(model: FleetModel) -> None:
    read = FleetModel.from_bytes(model.to_bytes())
    past = daily(5.0, 3)
    x = Past(past, Scale.of(past.values)).rows(np.array([700, 900]), [(3, "peak")]).standardised()
    np.testing.assert_array_equal(read.predict("peak", x), model.predict("peak", x))
    assert read.series == 2


def test_bytes_of_something_else_are_refused() -> None:
    naive = Naive().fit(daily(1.0, 1), horizon=3, levels=(0.5,))
    with pytest.raises(InvalidState, match="these bytes are a FittedNaive, not a fleet model"):
        FleetModel.from_bytes(dumps(naive))


def test_a_model_is_known_by_its_digest_once_remembered(model: FleetModel) -> None:
    with pytest.raises(InvalidParameter, match="fleet model 'fedcba9876543210' is not known to this process"):
        known_fleet("fedcba9876543210")
    assert known_fleet(remember_fleet(model)) is model


def test_series_too_short_to_learn_from_are_left_out(model: FleetModel) -> None:
    with_short = train_fleet([daily(1.0, 1), daily(1e6, 2), daily(1.0, 3, days=1)], growth=GROWTH)
    assert with_short.to_bytes() == model.to_bytes()
    with pytest.raises(FitFailed, match="none of these 1 series has the day and a half"):
        train_fleet([daily(1.0, 3, days=1)], growth=GROWTH)


def test_generated_series_count_as_much_as_all_histories_together() -> None:
    own, told = [daily(1.0, 1), daily(1e6, 2)], []
    model = train_fleet(own, growth=GROWTH, generated=3, seed=5, told=lambda done, total: told.append((done, total)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    parts = [lessons_of(own, rows=GROWTH.rows // 2), generated_lessons(3, seed=5)]
    assert model.to_bytes() == grown_fleet(parts, growth=replace(GROWTH, rows=2 * GROWTH.rows)).to_bytes()
    assert model.series == 5


def test_generated_lessons_are_the_same_for_the_same_seed() -> None:
    first, again, other = (generated_lessons(2, seed=seed) for seed in (1, 1, 2))
    assert first.series == 2
    for kind in KINDS:
        np.testing.assert_array_equal(first.x[kind], again.x[kind])
        np.testing.assert_array_equal(first.y[kind], again.y[kind])
        assert first.x[kind].shape == (len(first.y[kind]), first.x["peak"].shape[1])
        assert np.isfinite(first.y[kind]).all()
    assert not np.array_equal(first.y["peak"][:100], other.y["peak"][:100])


def test_each_part_counts_the_same_whatever_its_size() -> None:
    few, many = (
        Lessons(
            x=dict.fromkeys(KINDS, np.zeros((n, 1), dtype=np.float32)),
            y=dict.fromkeys(KINDS, np.full(n, came, dtype=np.float32)),
            weight=dict.fromkeys(KINDS, np.ones(n, dtype=np.float32)),
            series=1,
        )
        for n, came in ((400, 1.0), (4000, 0.0))
    )
    model = grown_fleet([few, many], growth=GROWTH)
    assert model.series == 2
    # half of the weight lies at 1, whatever the rows: the upper quantiles are there
    assert model.value[1].predict(np.zeros((1, 1), dtype=np.float32))[0] == pytest.approx(1.0, abs=0.05)
    unweighted = grown_fleet([many, many], growth=GROWTH)
    assert unweighted.value[1].predict(np.zeros((1, 1), dtype=np.float32))[0] == pytest.approx(0.0, abs=0.05)


def test_the_pretrained_model_ships_and_is_small() -> None:
    shipped = known_fleet(PRETRAINED)
    assert shipped.series >= 13
    assert len(shipped.to_bytes()) <= 300 * 1024
