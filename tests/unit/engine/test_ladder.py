from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from scaler.engine.ladder import ban, is_due, rungs
from scaler.engine.messages import Rung
from scaler.engine.state import ModelKey, ModelState

if TYPE_CHECKING:
    from forecasting.forecaster import FittedForecaster

KNOWN = ("auto", "naive", "seasonal-naive", "seasonal-profile")
FITTED = cast("FittedForecaster", object())


def model(name: str = "auto", **state: Any) -> ModelState:
    one = ModelState(key=ModelKey(forecaster=name, parameters=(("season_length", "60"),)))
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
    ("state", "now", "due"),
    [
        ({}, 0.0, True),  # never fitted
        ({"tried": (0, 600), "tried_at": 700.0}, 9e9, False),  # nothing could be fitted: nor can it now
        ({"tried": (0, 540), "tried_at": 600.0}, 700.0, True),  # there are more samples
        ({"tried": (60, 600), "tried_at": 600.0}, 700.0, True),  # or earlier ones
        ({"tried": (0, 600), "fitted": FITTED, "rung": "auto"}, 700.0, False),
        # auto hung at 700 and rests until 1300
        ({"tried": (0, 600), "tried_at": 710.0, "banned": {"auto": (1300.0, 1)}}, 1299.0, False),
        ({"tried": (0, 600), "tried_at": 710.0, "banned": {"auto": (1300.0, 1)}}, 1300.0, True),
        ({"tried": (0, 600), "tried_at": 1310.0, "banned": {"auto": (1300.0, 1)}}, 1400.0, False),  # in vain
        (
            {
                "tried": (0, 600),
                "tried_at": 710.0,
                "fitted": FITTED,
                "rung": "auto",
                "banned": {"seasonal-profile": (1300.0, 1)},
            },
            1400.0,
            False,  # a stand-in that could do so again is no reason while none is needed
        ),
    ],
)
def test_when_to_fit_to_the_samples_from_0_to_600(state: dict[str, Any], now: float, *, due: bool) -> None:
    assert is_due(model(**state), (0, 600), now=now) is due


def test_why_there_is_no_model_is_what_the_forecaster_asked_for_lacks() -> None:
    unknown, short = (
        "there is no forecaster 'bosted' (did you mean 'boosted'?)",
        "seasonal-naive needs 60 known samples",
    )
    assert model("bosted", failures=(unknown, short)).note() == unknown
    assert model("bosted", failures=(unknown,), fitted=FITTED, forecast=object(), rung="seasonal-naive").note() == (
        f"{unknown}: seasonal-naive stands in"
    )
    assert model().note() == "the first fit is under way"
