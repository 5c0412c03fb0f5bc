"""The quantile for a shortfall that a user allows: the cheapest that kept it when the last days are replayed.

A model fitted to what came before these days forecasts them, so nothing is judged on what it was fitted to; the
HPA's arithmetic then says what each quantile would have left unserved, and at what cost. Choosing a service level by
simulating the constraint is the classic way where the cost of a shortage is not known but its bound is (a fill
rate: Silver, Pyke and Thomas, "Inventory and Production Management in Supply Chains", 2017, chapter 6).

Steps are bounded and the way down is longer than the way up, so that noise does not make it swing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from forecasting.errors import ForecastError
from forecasting.refits import refit_at
from scaler.replay.aim import Choice
from scaler.replay.compare import Point
from scaler.replay.forecasts import highest_so_far, peaks_of
from scaler.replay.policies import Peaks
from scaler.replay.simulator import Workload
from scaler.replay.study import Setting, Study
from scaler.words import duration

if TYPE_CHECKING:
    from forecasting.forecaster import Forecaster
    from forecasting.series import TimeSeries
    from scaler.replay.aim import Aim

__all__ = ["QUANTILES", "choose"]

QUANTILES = (0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995)
"""What is chosen from."""

_UP = 3  # steps at most from one choice to the next,
_DOWN = 1
_CLEARLY = 0.8  # on the way down, what a quantile leaves unserved must stay below this part of what is allowed
_SPAN = 3 * 86400  # seconds replayed,
_PART = 4  # or this part of the history, if that is less; two hours at least
_LEAST = 7200


def choose(
    past: TimeSeries, forecaster: Forecaster, aim: Aim, *, horizon: int, before: float | None = None
) -> Choice | None:
    """The quantile for the time to come.

    Args:
        past: What is known of the load; its last days are replayed.
        forecaster: What forecasts it.
        aim: What is allowed, and how is served.
        horizon: Steps to forecast.
        before: The quantile in use; None: this is the first choice.

    Returns:
        None if the history is too short to say anything.
    """
    span = max(_LEAST, min(_SPAN, (past.end - past.start) // _PART)) // past.step
    if span < 1 or len(past) <= 2 * span:
        return None
    replayed = _Replayed(past, forecaster, aim, horizon=horizon, span=span)
    if not replayed.known:
        return None
    if before is None:
        at = _lowest_that_meets(replayed, range(len(QUANTILES)))
    else:
        at = _next(replayed, min(range(len(QUANTILES)), key=lambda n: abs(QUANTILES[n] - before)))
    return Choice(QUANTILES[at], _words(replayed, at))


class _Replayed:
    """What each quantile would have come to, found when it is asked for."""

    def __init__(self, past: TimeSeries, forecaster: Forecaster, aim: Aim, *, horizon: int, span: int) -> None:
        self.aim, self.span = aim, span * past.step
        self._past, self._points = past, dict[int, Point]()
        self._highest = highest_so_far(past, window=past.end - past.start)
        try:
            refits = [refit_at(past, forecaster, [past.end - self.span], 0, horizon=horizon, levels=QUANTILES)]
        except ForecastError:
            refits = []
        self.known = bool(refits)
        self._peaks = peaks_of(past, refits, horizon=horizon, levels=len(QUANTILES))
        self._study = Study(
            series=past,
            start=past.end - self.span + past.step,
            workload=Workload(target=aim.policy.threshold, pod_startup=(aim.policy.lead_time,)),
            decision=msgspec.structs.replace(aim.policy, observe_only=False),
        )

    def point(self, at: int) -> Point:
        """The outcome at this quantile of QUANTILES."""
        if at not in self._points:
            quantile, headroom = QUANTILES[at], self.aim.policy.headroom
            peaks = Peaks(forecaster="", quantile=quantile, values=self._peaks[at], highest=self._highest)
            _, outcome = self._study.run(Setting("foresail", headroom, quantile), {quantile: peaks})
            self._points[at] = Point.of(outcome, policy="foresail", headroom=headroom, quantile=quantile)
        return self._points[at]

    def meets(self, at: int, *, part: float = 1.0) -> bool:
        """Whether it leaves no more unserved than this part of what is allowed."""
        return self.point(at).under_provisioned_load <= part * self.aim.shortfall


def _lowest_that_meets(replayed: _Replayed, among: range) -> int:
    """The first that meets the aim, by bisection: more is served at a higher quantile. The last if none does."""
    low, high = among[0], among[-1]
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if replayed.meets(middle) else (middle + 1, high)
    return low


def _next(replayed: _Replayed, at: int) -> int:
    """From the quantile in use to the next one."""
    if not replayed.meets(at):
        return _lowest_that_meets(replayed, range(at, min(at + _UP + 1, len(QUANTILES))))
    down = max(0, at - _DOWN)
    return down if replayed.meets(down, part=_CLEARLY) else at


def _words(replayed: _Replayed, at: int) -> str:
    point, allowed = replayed.point(at), replayed.aim.shortfall
    said = (
        f"the {QUANTILES[at]:g}-quantile, chosen by replaying the last {duration(replayed.span)}: "
        f"{_percent(point.under_provisioned_load)} of the load would have gone unserved, allowed are "
        f"{_percent(allowed)}, with {point.cost_ratio:.3g} times the pods that a perfect forecast needs"
    )
    if not replayed.meets(at):
        return f"{said}; no quantile within reach does better" if at == len(QUANTILES) - 1 else f"{said}; it is raised"
    if at > 0 and not replayed.meets(at - 1, part=_CLEARLY):
        lower = replayed.point(at - 1).under_provisioned_load
        return f"{said}; the {QUANTILES[at - 1]:g}-quantile would have left {_percent(lower)}"
    return said


def _percent(part: float) -> str:
    return f"{100.0 * part:.3g} %"
