from __future__ import annotations

import numpy as np
import pytest

from forecasting.series import TimeSeries
from forecasting.training.corpus import Recipe, coarser, corpus, real
from tests.support.networks import daily_load

RECIPE = Recipe(origins=80, generated=0, seed=4)


def test_five_minutes_are_the_mean_of_what_is_known_in_them() -> None:
    values = np.array([7.0, 9.0, 1.0, np.nan, 3.0, 2.0, np.nan, *[np.nan] * 5, 4.0])
    found = coarser(TimeSeries(1500 - 60, 60, values))
    # samples at t tell of (t - 60, t], so the two before 1500 and that at 1500 itself go together
    assert found == TimeSeries(1500, 300, np.array([8.0, 2.0, np.nan, 4.0]))


def test_minutes_are_shown_in_steps_of_five_minutes_too() -> None:
    shown = real(daily_load(1.0, 1, days=2, step=60), 0, RECIPE)
    assert (len(shown.train), len(shown.validate)) == (80 + 40, 8 + 4)
    steps = shown.train.statics[:, 11]
    np.testing.assert_allclose(steps, np.log(np.repeat([1.0, 5.0], [80, 40])) / 2, atol=1e-6)


@pytest.mark.parametrize("step", [300, 90, 3600])
def test_others_are_shown_as_they_are(step: int) -> None:
    assert len(corpus([daily_load(1.0, 1, days=8, step=step)], RECIPE).train) == 80
