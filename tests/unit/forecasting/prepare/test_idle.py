from __future__ import annotations

import numpy as np
import pytest

from forecasting.prepare.idle import idle_below

NAN = np.nan


def test_a_series_that_never_idles_has_no_load_that_stands_for_none() -> None:
    assert idle_below(np.array([0.001, 5.0, NAN, 7.0]), 0.5) == 0.0


def test_what_is_nearer_to_none_than_to_loads_that_occur_is_none() -> None:
    """60 idle minutes bear three loads that are next to nothing: the fourth is one that occurs."""
    values = np.concatenate([np.zeros(60), [NAN, 3.0, 0.1, 0.2, 50.0, 0.4, 60.0]])
    assert idle_below(values, 100.0) == 1.5
    assert idle_below(np.concatenate([values, np.zeros(20)]), 100.0) == 25.0
    assert idle_below(values[:-7], 100.0) == 100.0  # nothing else ever came


def test_what_a_method_can_tell_from_none_stays_as_it_is() -> None:
    assert idle_below(np.concatenate([np.zeros(1000), np.full(500, 8.0)]), 0.5) == 0.5


@pytest.mark.parametrize("below", [-1.0, -1e300])
def test_loads_below_none_are_none(below: float) -> None:
    assert idle_below(np.array([below] * 20 + [4.0, 9.0]), 100.0) == 4.5


def test_a_small_load_that_occurs_is_not_taken_for_none() -> None:
    """A heartbeat of 2 in a third of the quiet minutes: a forecast of a little less than 2 means that."""
    heartbeat = np.tile([0.0, 0.0, 2.0], 300)
    assert idle_below(np.concatenate([heartbeat, np.full(900, 400.0)]), 4.0) == 1.0
