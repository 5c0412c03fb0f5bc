"""The quantile that a premium buys, taken up with a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.premium import CHOICES, ENOUGH
from scaler.decision.lead_time import LeadTime
from scaler.engine.modelling import Kept, _table
from scaler.engine.state import ModelKey, ModelState, TriggerState
from scaler.replay.aim import Choice
from scaler.settings import Settings
from scaler.trigger.parse import parse_trigger

if TYPE_CHECKING:
    from forecasting.series import FloatArray

# what each level adds, at one step and at nine, there to a median that adds a quarter; and what is expected above it
BEYOND = np.array([0.0, 0.2, 0.24, 0.28, 0.32, 0.4, 0.5, 0.6, 0.7, 0.8])
ADDED = np.stack([np.zeros(len(CHOICES)), 1.25 * (1.0 + BEYOND) - 1.0], axis=1)
FOUND = np.stack([ADDED, np.full(ADDED.shape, 0.01)])


def trigger(**metadata: str) -> TriggerState:
    least = {"serverAddress": "http://prometheus:9090", "query": "sum(load)", "threshold": "10"}
    state = TriggerState(config=parse_trigger(namespace="shop", name="web", metadata=least | metadata), called_at=0.0)
    state.look_ahead(Settings())
    return state


def model(found: FloatArray = FOUND) -> ModelState:
    return ModelState(key=ModelKey(forecaster="auto"), premiums=found)


def test_the_window_of_a_decision_counts() -> None:
    state = trigger()
    assert state.model_key.steps == 7  # 180 s lead + 45 s asking + 180 s margin, in minutes
    state.follow(model())
    # at one step all could be had
    assert state.choice == Choice(0.965, "chosen: it adds 40 % on average to what the median asks for, of 43 % it may")


def test_the_premium_is_the_user_s() -> None:
    levels = []
    for premium in ("0.1", "0.24", "1"):
        state = trigger(premium=premium)
        state.follow(model())
        levels.append(state.quantile)
    assert levels == [0.5, 0.965, 0.99]


def test_the_lead_time_that_counts_says_how_high_it_may_go() -> None:
    state = trigger(premium="1", leadTime="auto")
    state.follow(model())
    assert state.quantile == 0.99  # 3m until it is measured
    state.lead_time = LeadTime(80.0, "measured")
    state.follow(model())
    assert state.choice == Choice(
        0.9865,
        "chosen: it adds 70 % on average to what the median asks for, of 374 % it may; with so short a lead time none "
        "is higher",
    )


def test_no_more_is_bought_than_there_is_need_for_and_that_is_told() -> None:
    found = FOUND.copy()
    found[1, 1:] = ENOUGH
    state = trigger(premium="1")
    state.follow(model(found))
    assert state.choice == Choice(
        0.9,
        "chosen: it adds 20 % on average to what the median asks for, of 100 % it may, and no more than 0.15 % of the "
        "load is expected above it",
    )


def test_a_quantile_that_is_given_stays() -> None:
    for metadata in ({"quantile": "0.95"}, {"costRatio": "19"}):
        state = trigger(**metadata)
        state.follow(model())
        assert (state.quantile, state.choice) == (0.95, None)


def test_until_a_fit_it_is_the_usual_one() -> None:
    state = trigger()
    state.follow(ModelState(key=ModelKey(forecaster="auto")))
    assert (state.quantile, state.choice) == (0.9, None)


def test_what_another_version_has_stored_with_other_levels_is_not_believed() -> None:
    kept = Kept("auto", b"", None, [], FOUND.tolist(), None, CHOICES)
    found = _table(kept.premiums, kept.levels)
    assert found is not None
    np.testing.assert_array_equal(found, FOUND)
    others = (*CHOICES[:-1], 0.995)  # as many, and not the same
    assert _table(FOUND.tolist(), others) is None
    assert _table(FOUND.tolist(), ()) is None  # from before levels were kept
    assert _table(FOUND[:, :3].tolist(), CHOICES) is None
    assert _table(FOUND[:1].tolist(), CHOICES) is None
    assert _table([], CHOICES) is None
