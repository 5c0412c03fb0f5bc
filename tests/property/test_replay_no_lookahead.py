"""Cutting a history after a moment changes no decision up to that moment, whatever the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.models.naive import Naive
from forecasting.refits import fit_times, refit_at
from forecasting.series import TimeSeries
from scaler.decision import DecisionPolicy
from scaler.replay.forecasts import highest_so_far, peaks_of
from scaler.replay.keda import ScaledObjectSpec
from scaler.replay.policies import Peaks
from scaler.replay.simulator import Workload
from scaler.replay.study import Setting, Study

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP = 60
TRAIN = 60
LEVELS = (0.5, 0.9)
SETTINGS = (
    Setting("reactive", 1.25),
    Setting("offset", 1.0),
    Setting("foresail", 1.2, 0.9),
    Setting("oracle"),
)


class Row(NamedTuple):
    time: int
    observed: str
    served: str
    desired: int
    ready: int
    reason: tuple[str, str]


def peaks(series: TimeSeries) -> Peaks:
    times = fit_times(series, train_end=series.start + (TRAIN - 1) * STEP, refit_every=40 * STEP)
    refits = [refit_at(series, Naive(), times, n, horizon=12, levels=LEVELS) for n in range(len(times))]
    values = peaks_of(series, refits, horizon=12, levels=len(LEVELS))
    return Peaks(forecaster="naive", quantile=0.9, values=values[1], highest=highest_so_far(series, window=7200))


def rows(series: TimeSeries, setting: Setting, workload: Workload, delay: int) -> list[Row]:
    study = Study(
        series=series,
        start=series.start + TRAIN * STEP,
        workload=workload,
        decision=DecisionPolicy(threshold=workload.target, lead_time=180.0),
        metric_delay=delay,
    )
    served, outcome = study.run(setting, {0.9: peaks(series)} if setting.quantile else {})
    demand = outcome.demand
    return [
        Row(*row)
        for row in zip(
            demand.times().tolist(),
            map(repr, demand.observed.tolist()),
            map(repr, served.value.tolist()),
            outcome.desired.tolist(),
            outcome.ready.tolist(),
            zip(served.reasons, outcome.reasons, strict=True),
            strict=True,
        )
    ]


loads = st.lists(
    st.one_of(st.floats(0.0, 500.0), st.just(float("nan"))), min_size=TRAIN + 5, max_size=TRAIN + 120
).filter(lambda values: sum(value == value for value in values[:TRAIN]) > 30)  # noqa: PLR0124  # NaN is not itself


@given(
    values=loads,
    part=st.floats(0.0, 1.0),
    setting=st.sampled_from(SETTINGS),
    min_replicas=st.integers(0, 3),
    startup=st.sampled_from([(60.0,), (180.0, 30.0, 600.0)]),
    delay=st.sampled_from([0, 30]),
)
@settings(max_examples=60, deadline=None)
def test_cutting_the_future_off_changes_nothing_before(
    values: Sequence[float],
    part: float,
    setting: Setting,
    min_replicas: int,
    startup: tuple[float, ...],
    delay: int,
) -> None:
    whole = TimeSeries(6000, STEP, np.array(values))
    cut = TRAIN + 1 + int(part * (len(values) - TRAIN - 2))
    workload = Workload(
        target=10.0,
        pod_startup=startup,
        scaled_object=ScaledObjectSpec(min_replicas=min_replicas, cooldown_period=120),
    )
    before = rows(whole.first(cut + 1), setting, workload, delay)
    after = rows(whole, setting, workload, delay)
    assert before[-1].time >= whole.start + cut * STEP
    assert before == after[: len(before)]
