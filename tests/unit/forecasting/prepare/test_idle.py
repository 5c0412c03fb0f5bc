from __future__ import annotations

import numpy as np
import pytest

from forecasting.prepare.idle import idle_below

NAN = np.nan


def test_a_series_that_never_idles_has_no_load_that_stands_for_none() -> None:
    assert idle_below(np.array([0.001, 5.0, NAN, 7.0]), 0.5) == 0.0


def test_of_loads_below_it_nineteen_in_twenty_are_none() -> None:
    """60 idle minutes bear three loads that are next to nothing: the fourth is one that occurs."""
    values = np.concatenate([np.zeros(60), [NAN, 3.0, 0.1, 0.2, 50.0, 0.4, 60.0]])
    assert idle_below(values, 100.0) == 3.0
    assert idle_below(np.concatenate([values, np.zeros(20)]), 100.0) == 50.0
    assert idle_below(values[:-7], 100.0) == 100.0  # nothing else ever came


def test_what_a_method_can_tell_from_none_stays_as_it_is() -> None:
    assert idle_below(np.concatenate([np.zeros(1000), np.full(500, 8.0)]), 0.5) == 0.5


@pytest.mark.parametrize("below", [-1.0, -1e300])
def test_loads_below_none_are_none(below: float) -> None:
    assert idle_below(np.array([below] * 20 + [4.0, 9.0]), 100.0) == 9.0
