from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from scaler.engine.ladder import ban, next_fit, rungs
from scaler.engine.messages import Rung
from scaler.engine.state import ModelState

if TYPE_CHECKING:
    from forecasting.forecaster import FittedForecaster

KNOWN = ("auto", "naive", "seasonal-naive", "seasonal-profile")
FITTED = cast("FittedForecaster", object())


def model(name: str = "auto", **state: Any) -> ModelState:
    one = ModelState(key=(name, (("season_length", "60"),)))
    for attribute, value in state.items():
        setattr(one, attribute, value)
    return one


def test_the_forecaster_asked_for_comes_first_with_its_parameters() -> None:
    assert rungs(model(), known=KNOWN, now=0.0) == [
        Rung("auto", {"season_length": "60"}),
        Rung("seasonal-profile"),
        Rung("seasonal-naive"),
    ]


def test_a_stand_in_that_was_asked_for_is_no_stand_in_of_itself() -> None:
    names = [rung.forecaster for rung in rungs(model("seasonal-naive"), known=KNOWN, now=0.0)]
    assert names == ["seasonal-naive", "seasonal-profile"]


def test_what_hung_rests_longer_each_time() -> None:
    one = model()
    ban(one, "auto", now=1000.0)
    assert [rung.forecaster for rung in rungs(one, known=KNOWN, now=1599.0)] == ["seasonal-profile", "seasonal-naive"]
    assert rungs(one, known=KNOWN, now=1600.0)[0].forecaster == "auto"
    ban(one, "auto", now=2000.0)
    assert one.banned["auto"] == (3200.0, 2)
    for _ in range(20):
        ban(one, "auto", now=0.0)
    assert one.banned["auto"][0] == 21600.0


@pytest.mark.parametrize(
    ("state", "known", "due"),
    [
        ({}, 10, 0.0),  # never fitted
        ({"fitted": FITTED, "rung": "auto", "fitted_at": 500.0}, 10, 500.0 + 7200.0),
        ({"fitted": FITTED, "rung": "auto", "fitted_at": 500.0, "tried_at": 8000.0}, 10, 8000.0 + 3600.0),  # in vain
        ({"fitted": FITTED, "rung": "auto", "fitted_at": 500.0, "tried_at": 600.0}, 10, 500.0 + 7200.0),
        ({"fitted": FITTED, "rung": "seasonal-naive", "tried_with": 100, "tried_at": 500.0}, 124, 4100.0),
        ({"fitted": FITTED, "rung": "seasonal-naive", "tried_with": 100, "tried_at": 500.0}, 125, 0.0),
        ({"tried_with": 100, "tried_at": 500.0}, 101, 4100.0),  # no rung could be fitted
    ],
)
def test_next_fit(state: dict[str, Any], known: int, due: float) -> None:
    assert next_fit(model(**state), known=known, refit_every=7200.0) == due
