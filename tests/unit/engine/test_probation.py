"""What forecasters say is looked at before it is believed, and one that breaks takes no other's forecast with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forecasting.errors import InvalidForecast
from forecasting.forecast import Forecast
from forecasting.models.boosted import Boosted
from forecasting.models.naive import Naive
from forecasting.series import TimeSeries
from scaler.engine.probation import Ask, all_predicted, predicted

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = (0.5, 0.9)


@dataclass
class Told:
    """Says what it was told to say, or raises it."""

    what: Any
    context_length: int = 10

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Any:
        del context, horizon, levels
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


def load(n: int = 400, *, seed: int = 0) -> TimeSeries:
    return TimeSeries(1_700_006_400, 300, np.random.default_rng(seed).gamma(9.0, 3.0, n))


def test_those_asked_at_once_get_what_each_gets_alone() -> None:
    first, second = load(seed=1), load(500, seed=2)
    boosted = [Boosted().fit(one, horizon=6, levels=LEVELS) for one in (first, second)]
    naive = Naive().fit(first, horizon=6, levels=LEVELS)
    asks = [
        Ask(boosted[0], "boosted", first, 6, LEVELS),
        Ask(naive, "naive", first, 6, LEVELS),
        Ask(boosted[1], "boosted", second, 6, LEVELS),
        Ask(boosted[1], "boosted", second, 3, (0.5,)),
    ]
    want = [predicted(one.fitted, one.past, name=one.name, horizon=one.horizon, levels=one.levels) for one in asks]
    assert all_predicted(asks) == want
    assert all_predicted([]) == []


def test_one_that_breaks_takes_no_other_with_it() -> None:
    past = load()
    naive = Naive().fit(past, horizon=6, levels=LEVELS)
    other = naive.predict(past.first(200), horizon=6, levels=LEVELS)
    broken = RuntimeError("broken")
    asks = [
        Ask(naive, "naive", past, 6, LEVELS),
        Ask(Told(broken), "breaks", past, 6, LEVELS),
        Ask(Told("no forecast"), "babbles", past, 6, LEVELS),
        Ask(Told(other), "late", past, 6, LEVELS),
        Ask(Told(broken), "breaks", past, 4, LEVELS),
    ]
    found = all_predicted(asks)
    assert isinstance(found[0], Forecast)
    assert found[1] is broken
    assert isinstance(found[2], InvalidForecast)
    assert str(found[2]) == "babbles predicted a str, not a Forecast"
    assert str(found[3]).startswith("late predicted origin, step, levels and horizon (1700066100, 300, (0.5, 0.9), 6)")
    assert found[4] is broken
