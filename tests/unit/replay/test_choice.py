"""The quantile for a shortfall allowed: cheapest that kept it on the last days, in bounded steps."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.registry import default_registry
from forecasting.series import TimeSeries
from scaler.decision import DecisionPolicy
from scaler.replay import choice as choosing
from scaler.replay.aim import Aim, Choice
from scaler.replay.choice import QUANTILES, choose
from tests.support.traces import read_trace

DAY = 1440  # samples
POLICY = DecisionPolicy(threshold=13.5, lead_time=180.0, headroom=1.0)


@pytest.fixture(scope="module")
def past() -> TimeSeries:
    return read_trace("nasa_http_jul95_21d").last(4 * DAY + 1)


def chosen(past: TimeSeries, allowed: float, before: float | None = None) -> Choice:
    forecaster = default_registry().create("seasonal-profile")
    made = choose(past, forecaster, Aim(allowed, POLICY), horizon=8, before=before)
    assert made is not None
    return made


def test_the_less_may_go_unserved_the_higher_the_quantile(past: TimeSeries) -> None:
    loose, strict, none = (chosen(past, allowed) for allowed in (0.05, 0.01, 0.0))
    assert loose.quantile < strict.quantile <= none.quantile == QUANTILES[-1]
    assert loose.words.startswith(f"the {loose.quantile:g}-quantile, chosen by replaying the last 1d: ")
    assert "allowed are 5 %, with 1." in loose.words
    assert none.words.endswith("; no quantile within reach does better")
    lower = QUANTILES[QUANTILES.index(strict.quantile) - 1]
    assert f"; the {lower:g}-quantile would have left " in strict.words


def test_from_one_choice_to_the_next_it_goes_a_bounded_way(past: TimeSeries) -> None:
    assert chosen(past, 0.0, before=0.7).quantile == 0.9
    assert chosen(past, 0.0, before=0.7).words.endswith("; it is raised")
    assert chosen(past, 0.5, before=0.97).quantile == 0.95
    assert chosen(past, 0.5, before=0.5).quantile == 0.5


def test_it_goes_down_only_where_that_is_clearly_enough(past: TimeSeries, monkeypatch: pytest.MonkeyPatch) -> None:
    first = chosen(past, 0.01)
    above = QUANTILES[QUANTILES.index(first.quantile) + 1]
    down = chosen(past, 0.01, before=above)
    monkeypatch.setattr(choosing, "_CLEARLY", 0.01)  # nothing is so clear
    assert chosen(past, 0.01, before=above).quantile == above
    assert down.quantile in (first.quantile, above)


def test_what_comes_of_it_is_the_same_each_time(past: TimeSeries) -> None:
    assert chosen(past, 0.02) == chosen(past, 0.02)


def test_a_young_series_has_none() -> None:
    forecaster = default_registry().create("seasonal-profile")
    short = TimeSeries(0, 60, np.full(60, 1.0))
    assert choose(short, forecaster, Aim(0.01, POLICY), horizon=8) is None
    unknown = TimeSeries(0, 60, np.append(np.full(2 * DAY, np.nan), np.full(300, 1.0)))
    assert choose(unknown, forecaster, Aim(0.01, POLICY), horizon=8) is None
