from __future__ import annotations

import pytest

from scaler.decision import ASKING_DELAY, horizon, window
from scaler.decision.lead_time import LeadTime, given, measured, not_measured


def test_the_window_covers_the_asking_and_the_start_of_a_pod() -> None:
    assert window(180.0) == 180.0 + ASKING_DELAY
    assert window(180.0, 10.0) == 190.0


def test_the_horizon_covers_the_window_until_the_forecast_is_too_old() -> None:
    assert horizon(window=225.0, step=60, forecast_max_age=240.0) == 8
    assert horizon(window=46.0, step=3600, forecast_max_age=0.0) == 1


class TestMeasured:
    def measured(self, seconds: float, pods: int = 34) -> LeadTime:
        return measured(seconds, quantile=0.9, pods=pods, target="web", window=259200.0)

    def test_it_says_where_it_comes_from(self) -> None:
        assert self.measured(42.0) == LeadTime(
            42.0, "measured: 90 % of the 34 pods that web started within the last 3d were ready after 42s"
        )

    @pytest.mark.parametrize(
        ("seconds", "taken", "says"),
        [
            (15.0, 15.0, "were ready after 15s"),
            (3.2, 15.0, "were ready after 3.2s; taken as 15s, the least that is believed"),
            (1800.0, 1800.0, "were ready after 30m"),
            (7200.0, 1800.0, "were ready after 2h; taken as 30m, the most that is believed"),
        ],
    )
    def test_it_is_bounded(self, seconds: float, taken: float, says: str) -> None:
        made = self.measured(seconds)
        assert made.seconds == taken
        assert made.origin.endswith(says)

    def test_without_a_measurement_it_is_the_default_or_the_last_one(self) -> None:
        assert not_measured("no pods") == LeadTime(180.0, "3m by default, not measured: no pods")
        last = self.measured(42.0)
        again = not_measured("it timed out", last)
        assert again == LeadTime(42.0, f"{last.origin}; not measured anew: it timed out")
        assert not_measured("no pods", again).origin == f"{last.origin}; not measured anew: no pods"

    def test_as_given(self) -> None:
        assert given(90.0) == LeadTime(90.0, "as leadTime says")
