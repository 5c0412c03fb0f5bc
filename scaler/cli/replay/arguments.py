"""The command's arguments, and the study that they ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from forecasting.registry import default_registry
from scaler.cli.arguments import listed, output_file, typed
from scaler.cli.calendar import add_calendar_arguments
from scaler.cli.history import add_history_arguments, read_history
from scaler.cli.pool import cores
from scaler.cli.replay.start_up import measure_start_up
from scaler.cli.split import add_split_arguments, train_end_of
from scaler.decision import ASKING_DELAY, DecisionPolicy
from scaler.decision.lead_time import DEFAULT_LEAD_TIME, TIMING_MARGIN
from scaler.errors import InvalidSettings
from scaler.events import EVENTS
from scaler.kinds import DAY, HOUR, Unreadable, duration, integer, number
from scaler.replay.behavior import Behavior, default_behavior, parse_behavior, recommended_behavior
from scaler.replay.keda import ScaledObjectSpec
from scaler.replay.simulator import Workload
from scaler.replay.study import POLICIES, Study, held_at
from scaler.trigger.kinds import QUANTILE
from scaler.trigger.parse import SCHEMA
from scaler.words import duration as shown

if TYPE_CHECKING:
    import argparse

    from scaler.cli.replay.start_up import MeasuredStartUp
    from scaler.events import Event

__all__ = ["configure", "read_behavior", "read_study"]

_STARTUP = duration(maximum=HOUR, bare=1)
_SPAN = duration(maximum=DAY, bare=1)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    defaults = SCHEMA.defaults
    add_history_arguments(parser)
    parser.add_argument(
        "--target", type=typed(number(minimum=0.001)), required=True, metavar="X", help="load that one pod carries"
    )
    policy = parser.add_argument_group("the policy")
    add = policy.add_argument
    tried = ", ".join(POLICIES)
    add("--policy", choices=POLICIES, default="foresail", metavar="NAME", help=f"{tried} (default: foresail)")
    add(
        "--quantile",
        type=typed(QUANTILE),
        default=defaults["quantile"],
        metavar="Q|auto",
        help="of the peak to be served; auto: by --premium (default: auto)",
    )
    add(
        "--premium",
        type=typed(number(minimum=0.01, maximum=10.0)),
        metavar="P",
        help=f"what a chosen quantile may add to the median (default: {defaults['premium']:g})",
    )
    add(
        "--headroom",
        type=typed(number(minimum=1.0, maximum=10.0)),
        metavar="F",
        help=f"factor on the observed load (default: {defaults['headroom']:g} for foresail, else 1)",
    )
    add(
        "--lead-time",
        type=typed(_STARTUP),
        metavar="TIME",
        help="the policy's (default: the longest --pod-startup)",
    )
    add(
        "--forecaster",
        choices=default_registry().names(),
        default=defaults["forecaster"],
        metavar="NAME",
        help="the method, or auto (default: %(default)s)",
    )
    add(
        "--refit-every",
        type=typed(duration(minimum=60, bare=1)),
        default=DAY,
        metavar="TIME",
        help="how long a model is used (default: 24h)",
    )
    add_calendar_arguments(policy)
    add(
        "--asking-delay",
        type=typed(_SPAN),
        default=ASKING_DELAY,
        metavar="TIME",
        help=f"the server's setting of this name (default: {shown(ASKING_DELAY)})",
    )
    add(
        "--events",
        type=Path,
        metavar="FILE",
        help="announced events, one a line, as in a trigger's metadata",
    )
    add(
        "--timing-margin",
        type=typed(_SPAN),
        default=TIMING_MARGIN,
        metavar="TIME",
        help=f"the server's setting of this name (default: {shown(TIMING_MARGIN)})",
    )
    add("--sweep", action="store_true", help="run many quantiles and headrooms of foresail, reactive and offset")
    add_split_arguments(parser, title="what is learned from, and what is replayed")
    add = parser.add_argument_group("the workload").add_argument
    add(
        "--pod-startup",
        type=listed(_STARTUP),
        metavar="TIME[,TIME]",
        help="until a pod works; several are taken in turn (default: 3m)",
    )
    add(
        "--scale-target",
        metavar="NAMESPACE/NAME",
        help="measure that, and the lead time, by kube-state-metrics at --source",
    )
    add(
        "--min-replicas",
        type=typed(integer(minimum=0, maximum=1_000_000)),
        default=1,
        metavar="N",
        help="fewest pods (default: 1)",
    )
    add(
        "--max-replicas",
        type=typed(integer(minimum=1, maximum=1_000_000)),
        default=1_000_000,
        metavar="N",
        help="most pods (default: 1000000)",
    )
    add(
        "--behavior",
        default="none",
        metavar="NAME|FILE",
        help="the HPA's: none, as KEDA creates HPAs; default; recommended, as beside Foresail; or of a "
        "file (JSON: a behavior, an HPA or a ScaledObject)",
    )
    add("--activation", type=typed(number(minimum=0.0)), default=0.0, metavar="X", help="awake above this (default: 0)")
    add(
        "--polling-interval",
        type=typed(integer(minimum=1, maximum=3600)),
        default=30,
        metavar="SECONDS",
        help="of KEDA (default: 30)",
    )
    add(
        "--cooldown-period",
        type=typed(integer(minimum=0, maximum=86400)),
        default=300,
        metavar="SECONDS",
        help="of KEDA, before it goes to zero (default: 300)",
    )
    add(
        "--metric-delay",
        type=typed(_SPAN),
        default=0.0,
        metavar="TIME",
        help="how old the newest sample is when it is seen (default: 0s)",
    )
    add(
        "--step",
        type=typed(integer(minimum=1, maximum=86400)),
        metavar="SECONDS",
        help="a finer grid: each sample of the history is held until the next",
    )
    add = parser.add_argument_group("output").add_argument
    add("--json", action="store_true", help="print the figures for machines")
    add("--decisions", type=output_file, metavar="OUT.csv", help="write a line for each HPA sync")
    add("--html", type=output_file, metavar="OUT.html", help="write a page about it; runs a sweep")
    add(
        "--jobs",
        type=typed(integer(minimum=1, maximum=1024)),
        default=cores(),
        metavar="N",
        help="processes (default: all cores)",
    )


def _startup(arguments: argparse.Namespace, measured: MeasuredStartUp | None) -> tuple[tuple[float, ...], float]:
    """The start-up times of pods, and the lead time: given, measured, or by default; what is given counts."""
    startup: tuple[float, ...] = arguments.pod_startup or (measured.pods if measured else (DEFAULT_LEAD_TIME,))
    if arguments.lead_time is not None:
        return startup, arguments.lead_time
    if measured is not None and arguments.pod_startup is None:
        return startup, measured.lead_time.seconds
    return startup, max(startup)


def read_behavior(choice: str) -> Behavior | None:
    """The HPA's behavior that `--behavior` asks for.

    Raises:
        InvalidSettings: The file cannot be read, or holds none.
    """
    if choice == "none":
        return None
    if choice == "default":
        return default_behavior()
    if choice == "recommended":
        return recommended_behavior()
    try:
        document = json.loads(Path(choice).read_text())
    except OSError as error:
        raise InvalidSettings(
            [f"--behavior {choice}: cannot be read: {error.strerror}; there are also none, default and recommended"]
        ) from error
    except ValueError as error:
        raise InvalidSettings(
            [f"--behavior {choice}: is not JSON ({error}); kubectl get hpa NAME -o json writes it"]
        ) from error
    behavior = _behavior_in(document)
    if not isinstance(behavior, dict):
        raise InvalidSettings([f"--behavior {choice}: holds no behavior with scaleUp or scaleDown"])
    return parse_behavior(behavior)


def read_events(path: Path, *, time_zone: str) -> tuple[Event, ...]:
    """The events of a file, one a line as in a trigger's metadata; times without a zone are of this one.

    Raises:
        InvalidSettings: The file cannot be read, or does not hold events.
    """
    try:
        events = EVENTS.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidSettings([f"--events {path}: cannot be read: {reason}"]) from error
    except Unreadable as error:
        raise InvalidSettings([f"--events {path}: {error.reason}"]) from error
    return tuple(e if e.time_zone else msgspec.structs.replace(e, time_zone=time_zone) for e in events)


def _behavior_in(document: Any) -> Any:  # noqa: ANN401  # whatever the JSON holds
    """The behavior in a behavior, an HPA or a ScaledObject."""
    if not isinstance(document, dict) or {"scaleUp", "scaleDown"} & set(document):
        return document
    for key in ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior"):
        inner = document.get(key, document)
        document = inner if isinstance(inner, dict) else {}
    return document if {"scaleUp", "scaleDown"} & set(document) else None


def read_study(arguments: argparse.Namespace) -> tuple[str, Study, int]:
    """The series' name, the study that the arguments ask for, and the end of its learning part.

    Raises:
        SourceError: The series cannot be read.
        InvalidSettings: The arguments do not fit each other or the series.
    """
    if arguments.premium is not None and arguments.quantile is not None:
        raise InvalidSettings(
            [f"--premium chooses the quantile, so it excludes --quantile {arguments.quantile:g}; give only one of them"]
        )
    name, series = read_history(arguments)
    if arguments.step is not None:
        try:
            series = held_at(series, arguments.step)
        except ValueError as error:
            raise InvalidSettings([f"--step {arguments.step}: {error}"]) from error
    if arguments.max_replicas < max(1, arguments.min_replicas):
        raise InvalidSettings([f"--max-replicas {arguments.max_replicas} is below --min-replicas"])
    train_end = train_end_of(arguments, series)
    measured = measure_start_up(arguments)
    startup, lead_time = _startup(arguments, measured)
    workload = Workload(
        target=arguments.target,
        pod_startup=startup,
        scaled_object=ScaledObjectSpec(
            min_replicas=arguments.min_replicas,
            polling_interval=arguments.polling_interval,
            cooldown_period=arguments.cooldown_period,
        ),
        max_replicas=arguments.max_replicas,
        behavior=read_behavior(arguments.behavior),
    )
    delay = arguments.metric_delay
    decision = DecisionPolicy(
        threshold=arguments.target,
        activation_threshold=arguments.activation,
        lead_time=lead_time,
        asking_delay=arguments.asking_delay,
        timing_margin=arguments.timing_margin,
        max_factor=SCHEMA.defaults["max_factor"],
        # a series coarser than the server's steps is forecast less often: its forecasts stay good until the next
        forecast_max_age=max(DecisionPolicy(threshold=1.0).forecast_max_age, 2.0 * series.step + delay),
    )
    study = Study(
        series=series,
        start=train_end + series.step,
        workload=workload,
        decision=decision,
        metric_delay=int(delay),
        events=() if arguments.events is None else read_events(arguments.events, time_zone=arguments.time_zone),
        lead_time_origin=measured.lead_time.origin if measured and lead_time == measured.lead_time.seconds else "",
        time_zone=arguments.time_zone,
        holidays=arguments.holidays or "",
    )
    return name, study, train_end
