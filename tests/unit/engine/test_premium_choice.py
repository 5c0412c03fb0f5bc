"""The quantile that a premium buys, taken up with a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.premium import CHOICES
from scaler.engine.modelling import Kept, _table
from scaler.engine.state import ModelKey, ModelState, TriggerState
from scaler.replay.aim import Choice
from scaler.settings import Settings
from scaler.trigger.parse import parse_trigger

# what each level adds, at one step and at nine
ADDED = np.stack([np.arange(len(CHOICES)) * 0.05, np.arange(len(CHOICES)) * 0.1], axis=1)


@dataclass
class Unpredictable:
    unpredictable: bool = True


def trigger(**metadata: str) -> TriggerState:
    least = {"serverAddress": "http://prometheus:9090", "query": "sum(load)", "threshold": "10"}
    state = TriggerState(config=parse_trigger(namespace="shop", name="web", metadata=least | metadata), called_at=0.0)
    state.look_ahead(Settings())
    return state


def model(fitted: Any = None) -> ModelState:  # only its flag is looked at
    return ModelState(key=ModelKey(forecaster="auto"), fitted=fitted, premiums=ADDED)


def test_the_window_of_a_decision_counts() -> None:
    state = trigger()
    assert state.model_key.steps == 7  # 180 s lead + 45 s asking + 180 s margin, in minutes
    state.follow(model())
    assert state.quantile == CHOICES[5]  # 0.1 each at the farther horizon
    assert state.choice == Choice(CHOICES[5], "chosen: it adds 50 % to the load on average; the premium is 50 %")


def test_the_premium_is_the_user_s() -> None:
    state = trigger(premium="0.2")
    state.follow(model())
    assert state.quantile == CHOICES[2]


def test_an_unpredictable_load_gets_half_of_it_and_is_told() -> None:
    state = trigger()
    state.follow(model(Unpredictable()))
    assert state.choice == Choice(
        CHOICES[2],
        "chosen: it adds 20 % to the load on average; the premium is 50 %, half of which for a load that no method "
        "foresees",
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
    kept = Kept("auto", b"", None, [], ADDED.tolist())
    found = _table(kept.premiums)
    assert found is not None
    np.testing.assert_array_equal(found, ADDED)
    assert _table(ADDED[:3].tolist()) is None
    assert _table([]) is None
