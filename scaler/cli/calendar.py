"""Whose clocks and holidays the load follows: the same words as in a trigger's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.cli.arguments import typed
from scaler.regions import REGION
from scaler.time_zones import TIME_ZONE
from scaler.trigger.parse import SCHEMA

if TYPE_CHECKING:
    from argparse import _ActionsContainer

__all__ = ["add_calendar_arguments"]


def add_calendar_arguments(group: _ActionsContainer) -> None:
    """The time zone and the region."""
    group.add_argument(
        "--time-zone",
        type=typed(TIME_ZONE),
        default=SCHEMA.defaults["time_zone"],
        metavar="ZONE",
        help="a trigger's timeZone: whose clocks are followed (default: %(default)s)",
    )
    group.add_argument(
        "--holidays",
        type=typed(REGION),
        metavar="REGION",
        help="a trigger's holidays: a region such as DE-BY (default: none)",
    )
