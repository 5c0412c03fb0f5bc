"""How long a workload's pods took to start, as the source of the history tells: for `--scale-target`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.cli.history import ask_source
from scaler.engine.start_up import TooFewPods, measured_lead_time, start_up_times
from scaler.errors import InvalidSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from scaler.decision.lead_time import LeadTime

__all__ = ["MeasuredStartUp", "measure_start_up"]

_IN_TURN = (0.5, 0.9, 0.1, 0.7, 0.3)
"""Quantiles of the start-up times that the replay's pods take in turn: short and long ones mixed."""


@dataclass(frozen=True, slots=True)
class MeasuredStartUp:
    """What was measured.

    Attributes:
        lead_time: What `leadTime: auto` would be.
        pods: Start-up times for the replay's pods to take in turn, seconds.
    """

    lead_time: LeadTime
    pods: tuple[float, ...]


def measure_start_up(arguments: argparse.Namespace) -> MeasuredStartUp | None:
    """The start-up times of `--scale-target`; None if it is not given.

    Raises:
        InvalidSettings: It is no workload, there is no source to ask, or that has seen too few pods start.
        SourceError: The source does not answer.
    """
    wanted: str | None = arguments.scale_target
    if wanted is None:
        return None
    namespace, slash, target = wanted.partition("/")
    if not (namespace and slash and target) or "/" in target:
        raise InvalidSettings([f"--scale-target {wanted}: it must be NAMESPACE/NAME of a Deployment or StatefulSet"])
    if arguments.source is None:
        raise InvalidSettings(["--scale-target needs a --source whose kube-state-metrics can be asked"])

    async def questions(ask: Callable[[str], Awaitable[float]]) -> MeasuredStartUp:
        lead_time = await measured_lead_time(ask, namespace=namespace, target=target)
        times = start_up_times(namespace=namespace, target=target)
        return MeasuredStartUp(lead_time, tuple([await ask(f"quantile({level}, {times})") for level in _IN_TURN]))

    try:
        return ask_source(arguments, questions)
    except TooFewPods as few:
        raise InvalidSettings([f"--scale-target {wanted}: {few}"]) from few
