"""How long the pods of a scale target take to start, from what kube-state-metrics has told Prometheus.

`kube_pod_created` is a pod's creation; `kube_pod_status_ready_time` the moment it became ready, which moves on when
readiness is lost and regained: its minimum is the first time. Pods created before the span are left out, for
their first time may lie before it, too. Old versions of kube-state-metrics give that time of a pod that was never
ready as well, and it is that of its creation: no time at all is no start-up time. Pods are told by their names, as
the controllers make them; that needs no join.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.decision.lead_time import measured, not_measured
from scaler.errors import ForesailError, NoData
from scaler.words import plural

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler.decision.lead_time import LeadTime
    from scaler.engine.refresh import Refresh
    from scaler.engine.state import SeriesState, TriggerState

__all__ = ["StartUp", "TooFewPods", "measured_lead_time", "pods_started", "start_up_times"]

_SPAN = "3d"
_SPAN_SECONDS = 3 * 86400
_QUANTILE = 0.9
_LEAST_PODS = 5
_EVERY = 3600.0  # seconds between two measurements,
_AFTER_FAILURE = 300.0  # or after one that the source did not answer

_HASH = "[bcdfghjklmnpqrstvwxz2456789]"  # the letters of generated names: no vowels, so no words
_CREATED = "kube_pod_created"
_READY = "kube_pod_status_ready_time"


class StartUp:
    """Measures lead times now and then. Used from the engine's loop."""

    def __init__(self, *, refresh: Refresh, clock: Callable[[], float]) -> None:
        """Args:
        refresh: Asks the sources, in its bounds.
        clock: Epoch seconds.
        """
        self._refresh = refresh
        self._clock = clock

    def due(self, series: SeriesState) -> list[TriggerState]:
        """The triggers of the series whose lead time should be measured now."""
        now = self._clock()
        return [t for t in series.triggers.values() if t.config.lead_time is None and t.measure_at <= now]

    async def measure(self, series: SeriesState, trigger: TriggerState) -> bool:
        """Measures one trigger's lead time; True if it has another one now."""
        before = trigger.lead_time
        trigger.measure_at = self._clock() + _EVERY
        try:
            trigger.lead_time = await self._measured(series, trigger)
            trigger.lead_time_measured = trigger.lead_time
        except TooFewPods as few:
            trigger.lead_time = not_measured(str(few), trigger.lead_time_measured)
        except ForesailError as error:
            trigger.measure_at = self._clock() + _AFTER_FAILURE
            trigger.lead_time = not_measured(str(error), trigger.lead_time_measured)
        return trigger.lead_time != before

    async def _measured(self, series: SeriesState, trigger: TriggerState) -> LeadTime:
        config = trigger.config

        async def ask(query: str) -> float:
            return (await self._refresh.ask(series, query)).value

        return await measured_lead_time(ask, namespace=config.namespace_of_object, target=config.target)


class TooFewPods(Exception):
    """The source answers, but has seen too few pods start; the text says so."""


async def measured_lead_time(ask: Callable[[str], Awaitable[float]], *, namespace: str, target: str) -> LeadTime:
    """How long the pods of a workload took to start.

    Args:
        ask: Gives the value of a query.
        namespace: Of the workload.
        target: Its name.

    Raises:
        TooFewPods: None or too few have started lately, as far as the source knows.
        ForesailError: What the source says instead of an answer.
    """
    times = start_up_times(namespace=namespace, target=target)
    try:
        pods = int(await ask(f"count({times})"))
    except NoData:
        pods = 0
    if not pods:
        raise TooFewPods(
            f"the source knows no pod of {target} in {namespace} that started within the last {_SPAN} "
            f"({_CREATED} and {_READY} of kube-state-metrics); scaleTarget names the workload if it is called otherwise"
        )
    if pods < _LEAST_PODS:
        raise TooFewPods(
            f"{target} has started {plural(pods, 'pod')} within the last {_SPAN}, "
            f"{_LEAST_PODS} are the least that says something"
        )
    seconds = await ask(f"quantile({_QUANTILE}, {times})")
    return measured(seconds, quantile=_QUANTILE, pods=pods, target=target, window=_SPAN_SECONDS)


def pods_started(target: str) -> str:
    """A regular expression of the pod names that a Deployment, StatefulSet or DaemonSet of this name makes."""
    name = target.replace(".", "[.]")
    return f"{name}-({_HASH}{{1,10}}-{_HASH}{{5}}|[0-9]+|{_HASH}{{5}})"


def start_up_times(*, namespace: str, target: str) -> str:
    """A query: seconds from creation to first being ready, of each pod that started within the span."""
    of_target = f'{{namespace="{namespace}",pod=~"{pods_started(target)}"}}'

    def first(metric: str) -> str:
        return f"min by (pod, uid) (min_over_time({metric}{of_target}[{_SPAN}]))"

    return f"(({first(_READY)} - ({first(_CREATED)} > time() - {_SPAN_SECONDS})) > 0)"
