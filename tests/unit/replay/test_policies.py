from __future__ import annotations

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.decision import DecisionPolicy
from scaler.replay.demand import Demand
from scaler.replay.policies import Peaks, foresail, offset, reactive

STEP = 300
WEEK = 7 * 86400 // STEP


def test_reactive_is_the_observed_load_times_its_headroom() -> None:
    demand = Demand.of(TimeSeries(0, 15, np.array([0.0, 4.0, np.nan])), start=0)
    served = reactive(demand, headroom=1.5, activation=3.0)
    np.testing.assert_array_equal(served.value, [0.0, 6.0, np.nan])
    assert served.active.tolist() == [False, True, False]
    assert served.reasons == ("observed", "observed", "unknown")


def test_offset_looks_half_an_hour_ahead_one_week_ago() -> None:
    values = np.full(WEEK + 20, 10.0)
    values[10] = 50.0
    values[WEEK + 2] = np.nan
    series = TimeSeries(0, STEP, values)
    demand = Demand.of(series, start=WEEK * STEP)
    served = offset(demand, series, headroom=1.2)
    per_step = served.value[::20]
    # the 50 of sample 10 is within the next six samples from sample 4 on, and until sample 10 itself
    assert per_step[[3, 4, 10, 11]].tolist() == [12.0, 60.0, 60.0, 12.0]
    assert np.isnan(per_step[2])
    assert served.reasons[4 * 20] == "a week ago"
    assert served.reasons[2 * 20] == "unknown"


def test_offset_without_a_week_of_history_is_plain() -> None:
    series = TimeSeries(0, STEP, np.arange(40.0))
    demand = Demand.of(series, start=0)
    np.testing.assert_array_equal(offset(demand, series).value, reactive(demand).value)


def peaks(values: list[list[float]], highest: float = 100.0) -> Peaks:
    return Peaks(forecaster="naive", quantile=0.9, values=np.array(values), highest=np.full(len(values), highest))


def test_foresail_serves_the_peak_within_the_window_or_the_floor() -> None:
    series = TimeSeries(0, 60, np.array([10.0, 10.0, np.nan, 10.0, 10.0]))
    forecast = peaks([[11, 30, 40], [11, 11, 11], [99, 99, 99], [np.nan] * 3, [500, 500, 500]])
    policy = DecisionPolicy(threshold=1.0, lead_time=60.0, asking_delay=15.0, headroom=1.2)
    served = foresail(Demand.of(series, start=0), series, forecast, policy)
    per_step = served.value[::4]
    # a window of 75 s reaches into the second step ahead
    np.testing.assert_array_equal(per_step, [30.0, 12.0, np.nan, 12.0, 200.0])
    assert served.reasons[::4] == ("forecast", "observed", "unknown", "observed", "cap")
    # 45 s after the sample the window still ends within the second step
    assert served.value[:4].tolist() == [30.0] * 4
    assert served.active.tolist() == [True] * 8 + [False] * 4 + [True] * 8


def test_a_forecast_wakes_what_sleeps() -> None:
    series = TimeSeries(0, 60, np.zeros(2))
    policy = DecisionPolicy(threshold=10.0, lead_time=60.0)
    served = foresail(Demand.of(series, start=0), series, peaks([[0.0, 0.5], [0.0, 5.0]]), policy)
    assert served.active.tolist() == [False] * 4 + [True] * 4


@pytest.mark.parametrize("delay", [0, 60])
def test_the_newest_sample_known_is_the_one_forecast_from(delay: int) -> None:
    series = TimeSeries(0, 60, np.array([1.0, 1.0, 1.0]))
    policy = DecisionPolicy(threshold=1.0, lead_time=0.0, asking_delay=0.0, headroom=1.0)
    demand = Demand.of(series, start=60, metric_delay=delay)
    served = foresail(demand, series, peaks([[2, 3], [4, 5], [6, 7]]), policy)
    assert served.value[0] == (4.0 if delay == 0 else 2.0)
