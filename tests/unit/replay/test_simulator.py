from __future__ import annotations

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.decision import DecisionPolicy
from scaler.replay.behavior import default_behavior
from scaler.replay.demand import Demand
from scaler.replay.keda import ScaledObjectSpec
from scaler.replay.policies import Served, reactive
from scaler.replay.simulator import Outcome, Workload, simulate
from scaler.replay.study import Setting, Study, held_at


def step_trace(*levels: tuple[float, int]) -> TimeSeries:
    """One-minute samples: (load, minutes), one after the other."""
    return TimeSeries(0, 60, np.concatenate([np.full(minutes, load) for load, minutes in levels]))


def run(series: TimeSeries, workload: Workload, *, headroom: float = 1.0, activation: float = 0.0) -> Outcome:
    demand = Demand.of(series, start=series.start)
    return simulate(demand, reactive(demand, headroom=headroom, activation=activation), workload)


def test_a_step_is_followed_by_doubling_and_served_after_the_startup() -> None:
    outcome = run(step_trace((40, 2), (200, 8)), Workload(target=10, pod_startup=(60,)))
    # as in the recording step-up-x5: 4 -> 8 -> 16 -> 20, a sync each
    assert outcome.desired[7:13].tolist() == [4, 8, 16, 20, 20, 20]
    assert outcome.ready[7:17].tolist() == [4, 4, 4, 4, 4, 8, 16, 20, 20, 20]
    assert outcome.reasons[8:11] == ("ScaleUpLimit", "ScaleUpLimit", "")
    # 160 short for four syncs, 120 for one, 40 for one, of 40 x 8 + 200 x 32
    assert outcome.under_provisioned_load == pytest.approx((160 * 4 + 120 + 40) / (320 + 6400))
    assert outcome.under_provisioned_time == 6 / 40
    assert outcome.scale_events == 3
    assert outcome.pod_hours == pytest.approx((4 * 8 + 8 + 16 + 20 * 30) * 15 / 3600)
    assert outcome.oracle_pod_hours == pytest.approx((4 * 8 + 20 * 32) * 15 / 3600)
    assert outcome.cost_ratio == pytest.approx(656 / 672)


def test_a_drop_is_held_for_the_window_without_a_behavior() -> None:
    outcome = run(step_trace((150, 2), (50, 8)), Workload(target=10))
    # the last sync that wanted 15 is tick 7; at tick 27 it is 300 s old
    assert outcome.desired[7:29].tolist() == [15] * 20 + [5, 5]
    assert set(outcome.reasons[8:27]) == {"stabilised"}


def test_a_spike_of_one_sample_is_chased_without_a_behavior_but_not_with_one() -> None:
    series = step_trace((10, 3), (1000, 1), (10, 8))
    none = run(series, Workload(target=10, max_replicas=60))
    given = run(series, Workload(target=10, max_replicas=60, behavior=default_behavior()))
    assert none.desired[12:18].tolist() == [4, 8, 16, 32, 60, 60]
    assert given.desired[12:18].tolist() == [5, 10, 20, 40, 40, 40]


def test_pods_that_are_not_ready_go_first_on_the_way_down() -> None:
    behavior = default_behavior()
    quick = type(behavior)(behavior.up, type(behavior.down)(0, "Max", behavior.down.policies))
    series = step_trace((40, 2), (80, 1), (60, 8))
    outcome = run(series, Workload(target=10, pod_startup=(600,), behavior=quick))
    assert outcome.desired[[7, 8, 12]].tolist() == [4, 8, 6]
    assert outcome.ready[12] == 4


def test_waking_and_sleeping_are_kedas() -> None:
    series = step_trace((0, 3), (60, 10), (0, 12))
    keda = ScaledObjectSpec(min_replicas=0, polling_interval=30, cooldown_period=120)
    outcome = run(series, Workload(target=10, pod_startup=(30,), scaled_object=keda))
    # a fresh workload that was never active sleeps at the first poll; it wakes at the poll of tick 12, where the
    # HPA's sync of the same moment takes it to 4
    assert outcome.desired[:12].tolist() == [0] * 12
    assert outcome.desired[12:15].tolist() == [4, 6, 6]
    assert outcome.ready[12:16].tolist() == [0, 0, 4, 6]
    # last active at the poll of tick 50; 120 s later, straight to zero past the window
    assert outcome.desired[50:60].tolist() == [6] * 8 + [0] * 2


def test_a_load_that_is_not_known_moves_nothing_and_counts_nowhere() -> None:
    series = step_trace((40, 3), (np.nan, 10), (40, 3))
    outcome = run(series, Workload(target=10))
    assert outcome.desired.tolist() == [4] * 64
    assert outcome.under_provisioned_load == 0.0
    assert outcome.oracle.tolist() == [4] * 64


def test_the_minimum_and_the_maximum_hold() -> None:
    keda = ScaledObjectSpec(min_replicas=3)
    outcome = run(step_trace((10, 3), (500, 6)), Workload(target=10, scaled_object=keda, max_replicas=20))
    assert outcome.desired[0] == 3
    assert outcome.desired[-1] == 20
    assert outcome.reasons[-1] == "TooManyReplicas"


def test_a_coarser_series_is_held_on_a_finer_grid() -> None:
    held = held_at(TimeSeries(0, 300, np.array([1.0, np.nan])), 60)
    np.testing.assert_array_equal(held.values, [1.0] * 5 + [np.nan] * 5)
    with pytest.raises(
        ValueError, match=r"^a series at a step of 300 s cannot be held at 7 s: that does not divide it$"
    ):
        held_at(TimeSeries(0, 300, np.ones(2)), 7)


def test_foresail_without_forecasts_is_refused() -> None:
    study = Study(
        series=step_trace((10, 5)), start=0, workload=Workload(target=10), decision=DecisionPolicy(threshold=10)
    )
    with pytest.raises(
        ValueError, match=r"^the policy foresail needs forecasts, but there are none for quantile 0\.9$"
    ):
        study.run(Setting("foresail", 1.2, 0.9), {})


def test_without_any_load_nothing_is_short() -> None:
    outcome = run(step_trace((0, 3)), Workload(target=10))
    assert outcome.under_provisioned_load == 0.0
    assert outcome.desired.tolist() == [1] * 12


def test_what_is_below_0_is_no_load() -> None:
    outcome = run(step_trace((40, 2), (-30, 4), (200, 8)), Workload(target=10, pod_startup=(60,)))
    as_zero = run(step_trace((40, 2), (0, 4), (200, 8)), Workload(target=10, pod_startup=(60,)))
    assert outcome.under_provisioned_load == as_zero.under_provisioned_load > 0


def test_thousandths_are_cut_off_as_keda_does() -> None:
    served = Served(np.array([0.3339, np.nan, 2.0]), np.ones(3, dtype=np.bool_), ("", "", ""))
    assert served.in_thousandths() == [333, None, 2000]


def test_samples_that_end_between_two_syncs_are_averaged_over_time() -> None:
    series = TimeSeries(0, 20, np.array([10.0, 40.0, 70.0]))
    demand = Demand.of(series, start=0)
    assert demand.load.tolist() == [10.0, (5 * 10 + 10 * 40) / 15, (10 * 40 + 5 * 70) / 15, 70.0]
    assert demand.observed.tolist() == [10.0, 10.0, 40.0, 70.0]
    assert demand.times().tolist() == [0, 15, 30, 45]


def test_a_metric_delay_ages_what_is_observed_but_not_the_load() -> None:
    series = TimeSeries(0, 60, np.array([1.0, 2.0]))
    demand = Demand.of(series, start=0, metric_delay=30)
    assert demand.load.tolist() == [1.0] * 4 + [2.0] * 4
    assert demand.sample.tolist() == [-1, -1, 0, 0, 0, 0, 1, 1]
    np.testing.assert_array_equal(demand.observed, [np.nan, np.nan, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0])
