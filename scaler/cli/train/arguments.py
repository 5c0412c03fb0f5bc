"""The command's arguments, and the plan that they make."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.cli.arguments import add_config_argument, output_file, typed
from scaler.cli.history import fetch_history
from scaler.errors import InvalidSettings
from scaler.kinds import DAY, HOUR, duration, integer, number
from scaler.settings import load_settings
from scaler.training.files import KINDS
from scaler.training.histories import from_folder, from_store
from scaler.words import duration as shown

if TYPE_CHECKING:
    import argparse

    from forecasting.series import TimeSeries
    from scaler.settings import Settings
    from scaler.training.files import ModelKind

__all__ = ["Plan", "configure", "read_plan"]

_STORE_FILE = "foresail.db"
# What a network alone has, and what it is where it is not given.
_OF_NETWORKS: dict[str, Any] = {
    "from_scratch": False,
    "epochs": 12,
    "origins": 5000,
    "checkpoint": None,
    "checkpoint_every": 300.0,
    "restart": False,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What is to be trained.

    Attributes:
        kind: Of model.
        histories: Name and series.
        output: Where the model goes.
        champion: The file of the model in use, None for the one that ships.
        checkpoint: Where the training's state is kept.
        checkpoint_every: Seconds.
        restart: Do not go on from the checkpoint.
        from_scratch: Begin with random weights instead of those in use.
        epochs: At most.
        generated: How many generated series stand beside the real ones.
        origins: Of each series, at most.
        seed: Of all that is drawn.
        test: Share of each history that judges.
        unseen: Share of the series that are kept back whole.
        force: Publish a loser, too.
        json: Print the figures for machines.
    """

    kind: ModelKind
    histories: list[tuple[str, TimeSeries]]
    output: Path
    champion: Path | None
    checkpoint: Path
    checkpoint_every: float
    restart: bool
    from_scratch: bool
    epochs: int
    generated: int
    origins: int
    seed: int
    test: float
    unseen: float
    force: bool
    json: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "folder", type=Path, nargs="?", metavar="FOLDER", help="histories: a CSV file for each series, time and value"
    )
    add = parser.add_argument_group("instead of a folder, or beside it").add_argument
    add("--from-store", action="store_true", help="what the server's store has kept (the setting data_dir)")
    add("--source", metavar="NAME|URL", help="a source of the settings, or a Prometheus server's address")
    add("--query", metavar="PROMQL", action="append", default=[], help="a query with one result; repeatable")
    add(
        "--since",
        type=typed(duration(minimum=HOUR, maximum=400 * DAY)),
        default=21 * DAY,
        metavar="TIME",
        help="how far back, of a source and of the store (default: 21d)",
    )
    add(
        "--query-step",
        type=typed(integer(minimum=1, maximum=int(HOUR))),
        default=60,
        metavar="SECONDS",
        help="between a source's samples (default: 60)",
    )
    add_config_argument(parser)
    add = parser.add_argument_group("what is trained").add_argument
    add(
        "--model",
        choices=sorted(KINDS),
        default="lstm",
        help="lstm: the recurrent network; fleet: the trees that boosted and auto build on (default: lstm)",
    )
    add("--output", type=output_file, metavar="FILE", help="the model (default: the file that the settings point at)")
    add("--from-scratch", action="store_true", help="begin with random weights, not with those in use")
    add(
        "--epochs",
        type=typed(integer(minimum=1, maximum=1000)),
        metavar="N",
        help=f"times that every example is shown; fewer where more brings nothing (default: {_OF_NETWORKS['epochs']})",
    )
    add(
        "--generated",
        type=typed(integer(minimum=0, maximum=100_000)),
        default=200,
        metavar="N",
        help="generated series beside yours, so that what they do not show is not forgotten (default: 200)",
    )
    add(
        "--origins",
        type=typed(integer(minimum=10, maximum=1_000_000)),
        metavar="N",
        help=f"examples from each series, at most (default: {_OF_NETWORKS['origins']})",
    )
    add("--seed", type=typed(integer(minimum=0, maximum=2**31)), default=1, metavar="N", help="of all that is drawn")
    add = parser.add_argument_group("what is kept back, to judge by").add_argument
    share = typed(number(minimum=0.05, maximum=0.5))
    add("--test", type=share, default=0.2, metavar="SHARE", help="of each history, its end (default: 0.2)")
    add(
        "--unseen",
        type=typed(number(minimum=0.0, maximum=0.5)),
        default=0.1,
        metavar="SHARE",
        help="of the series, whole, where there are five or more (default: 0.1)",
    )
    add("--force", action="store_true", help="publish the model although it loses to the one in use")
    add = parser.add_argument_group("a training that is interrupted").add_argument
    add("--checkpoint", type=output_file, metavar="FILE", help="its state (default: OUTPUT.checkpoint)")
    add(
        "--checkpoint-every",
        type=typed(duration(minimum=0.1, maximum=DAY, bare=1)),
        metavar="TIME",
        help=f"how often (default: {shown(_OF_NETWORKS['checkpoint_every'])})",
    )
    add("--restart", action="store_true", help="begin anew although there is a checkpoint")
    add = parser.add_argument_group("output").add_argument
    add("--json", action="store_true", help="print the figures for machines")


def read_plan(arguments: argparse.Namespace) -> Plan:
    """The plan that the arguments make.

    Raises:
        InvalidSettings: The arguments do not fit each other.
        SourceError, StoreError: A history cannot be read.
    """
    settings = load_settings(
        path=Path(arguments.config) if arguments.config else None, environ=os.environ, overrides={}
    )
    kind = KINDS[arguments.model]
    of_network = _of_network(arguments)
    configured = getattr(settings, kind.setting)
    if arguments.output is None and not configured:
        raise InvalidSettings(
            [f"--output FILE must be given: the setting {kind.setting}, its default, is not set either"]
        )
    output = arguments.output or Path(configured)
    return Plan(
        kind=kind,
        histories=_histories(arguments, settings),
        output=output,
        champion=Path(configured) if configured and Path(configured).exists() else None,
        checkpoint=of_network["checkpoint"] or output.with_name(output.name + ".checkpoint"),
        checkpoint_every=of_network["checkpoint_every"],
        restart=of_network["restart"],
        from_scratch=of_network["from_scratch"],
        epochs=of_network["epochs"],
        generated=arguments.generated,
        origins=of_network["origins"],
        seed=arguments.seed,
        test=arguments.test,
        unseen=arguments.unseen,
        force=arguments.force,
        json=arguments.json,
    )


def _of_network(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {name: value for name in _OF_NETWORKS if (value := getattr(arguments, name)) not in (None, False)}
    if given and arguments.model != "lstm":
        raise InvalidSettings(
            [
                f"--{name.replace('_', '-')} is for --model lstm alone, not for --model {arguments.model}; leave it out"
                for name in given
            ]
        )
    return _OF_NETWORKS | given


def _histories(arguments: argparse.Namespace, settings: Settings) -> list[tuple[str, TimeSeries]]:
    if bool(arguments.source) != bool(arguments.query):
        raise InvalidSettings(["--source and --query go together: where to ask, and what"])
    if arguments.folder is None and not arguments.from_store and not arguments.source:
        raise InvalidSettings(
            ["histories must be given: a FOLDER of CSV files, --from-store, or --source with --query"]
        )
    out: list[tuple[str, TimeSeries]] = []
    if arguments.folder is not None:
        out += from_folder(arguments.folder)
    if arguments.from_store:
        out += from_store(settings.data_dir / _STORE_FILE, since=int(time.time() - arguments.since))
    out += [
        (query, fetch_history(settings, arguments.source, query, since=arguments.since, step=arguments.query_step))
        for query in arguments.query
    ]
    return out
