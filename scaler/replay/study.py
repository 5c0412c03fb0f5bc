"""One history, one workload, many settings: what a replay runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from forecasting.series import TimeSeries
from scaler.replay.demand import Demand
from scaler.replay.policies import Peaks, Served, foresail, offset, reactive
from scaler.replay.simulator import Outcome, Workload, ideal, simulate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.decision import DecisionPolicy
    from scaler.events import Event

__all__ = ["POLICIES", "Policy", "Setting", "Study", "held_at"]

Policy = Literal["foresail", "reactive", "offset", "oracle"]
POLICIES: tuple[Policy, ...] = ("foresail", "reactive", "offset", "oracle")


@dataclass(frozen=True, slots=True)
class Setting:
    """A policy and its knobs.

    Attributes:
        policy: Its name.
        headroom: On the observed load; None for the oracle, which has none.
        quantile: Of the forecast peak; None: chosen with each fit, as the server does by default, or no forecast.
    """

    policy: Policy
    headroom: float | None = None
    quantile: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """What all settings have in common.

    Attributes:
        series: The whole history; what is before `start` is for learning only.
        start: The first sync of the test part, epoch seconds.
        workload: What is scaled.
        decision: Foresail's own settings; the headroom is that of each setting.
        metric_delay: Seconds until a load is seen.
        events: What Foresail was told of ahead of time.
        lead_time_origin: Where the lead time comes from, in words; "" if it was given.
        time_zone: Whose clocks the load follows,
        holidays: and whose holidays; "" for nobody's.
    """

    series: TimeSeries
    start: int
    workload: Workload
    decision: DecisionPolicy
    metric_delay: int = 0
    events: tuple[Event, ...] = ()
    lead_time_origin: str = ""
    time_zone: str = "UTC"
    holidays: str = ""

    def demand(self) -> Demand:
        """The load of the test part."""
        return Demand.of(self.series, start=self.start, metric_delay=self.metric_delay)

    def run(self, setting: Setting, peaks: Mapping[float | None, Peaks]) -> tuple[Served, Outcome]:
        """What the setting serves, and what comes of it.

        Args:
            setting: What to run.
            peaks: Forecasts by quantile, None for a chosen one; the setting's must be among them.
        """
        demand = self.demand()
        if setting.policy == "oracle":
            outcome = ideal(demand, self.workload)
            return Served(demand.load, outcome.desired > 0, ("oracle",) * len(demand.load)), outcome
        served = self._served(setting, demand, peaks)
        return served, simulate(demand, served, self.workload)

    def _served(self, setting: Setting, demand: Demand, peaks: Mapping[float | None, Peaks]) -> Served:
        headroom = 1.0 if setting.headroom is None else setting.headroom
        activation = self.decision.activation_threshold
        if setting.policy == "reactive":
            return reactive(demand, headroom=headroom, activation=activation)
        if setting.policy == "offset":
            return offset(demand, self.series, headroom=headroom, activation=activation)
        if setting.quantile not in peaks:
            raise ValueError(f"the policy foresail needs forecasts, but there are none for quantile {setting.quantile}")
        policy = msgspec.structs.replace(self.decision, headroom=headroom)
        return foresail(demand, self.series, peaks[setting.quantile], policy, self.events)


def held_at(series: TimeSeries, step: int) -> TimeSeries:
    """A coarser series on a finer grid, each sample held until the next.

    Raises:
        ValueError: `step` does not divide the series' own.
    """
    if series.step % step:
        raise ValueError(f"a series at a step of {series.step} s cannot be held at {step} s: that does not divide it")
    return TimeSeries(series.start, step, np.repeat(series.values, series.step // step))
