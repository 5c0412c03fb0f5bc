"""What `make bench-replay` prints: the tables of docs/benchmarks.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.replay.compare import Point, shed_at_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OURS", "Result", "tables"]

OURS = "foresail"
LEFT_OUT = "ec2_net_batch"  # its coarse steps flatter
SMOOTH = ("azure_vm_v2", "wc98_pretournament", "llm_m_small")
NOTABLE = 0.001  # where an HPA at 80 % target sheds less there is nothing to gain


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Figures of one trace at one start-up time behind one HPA."""

    name: str
    startup: float
    behavior: str
    plain: list[Point]
    points: dict[str, Point]
    days: float
    fit_seconds: float
    used: tuple[str, ...]
    level: float

    def plain_at(self, headroom: float) -> Point:
        return next(point for point in self.plain if point.headroom == headroom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A result beside plain KEDA on the HPA that KEDA creates by default."""

    result: Result
    plain: Result

    def ratio(self, policy: str) -> float | None:
        """Shed against plain KEDA's at the same pod-hours; None where plain KEDA cannot cost that."""
        point = self.result.points[policy]
        plain = shed_at_cost(self.plain.plain, point.cost_ratio)
        return None if not plain else point.under_provisioned_load / plain

    @property
    def counts(self) -> bool:
        return self.result.name != LEFT_OUT and self.plain.plain_at(1.25).under_provisioned_load >= NOTABLE


def tables(results: Sequence[Result], startups: Sequence[float], behaviors: Sequence[str]) -> None:
    """Prints all of them. Plain KEDA is that behind the first behavior, whatever ours is behind."""
    plain = {(one.name, one.startup): one for one in results if one.behavior == behaviors[0]}
    for behavior in behaviors:
        compared = [
            Compared(result=one, plain=plain[one.name, one.startup]) for one in results if one.behavior == behavior
        ]
        print(f"\n--- behavior {behavior}; plain KEDA with behavior {behaviors[0]}")
        _overall(compared, startups)
        _per_trace(compared)
        _smooth(compared)


def _overall(compared: Sequence[Compared], startups: Sequence[float]) -> None:
    """Geometric means over the traces where there is something to gain."""
    heads = [f"{startup:g} s: ratio, worst, over 1.05, mean cost, events" for startup in startups]
    print(f"\n| policy | {' | '.join(heads)} |")
    print("|---" * (len(startups) + 1) + "|")
    for policy in compared[0].result.points:
        cells = [_cell([one for one in compared if one.result.startup == startup], policy) for startup in startups]
        print(f"| {policy} | {' | '.join(cells)} |")


def _cell(compared: Sequence[Compared], policy: str) -> str:
    counted = [one for one in compared if one.counts]
    ratios = [ratio for one in counted if (ratio := one.ratio(policy)) is not None]
    outside = len(counted) - len(ratios)
    if not ratios:
        return "outside of what plain KEDA can cost"
    mean = math.exp(sum(math.log(max(ratio, 1e-4)) for ratio in ratios) / len(ratios))
    cost = sum(one.result.points[policy].cost_ratio for one in counted) / len(counted)
    events = sum(one.result.points[policy].scale_events for one in counted)
    plain = sum(one.plain.plain_at(1.5).scale_events for one in counted)
    worse = sum(ratio > 1.05 for ratio in ratios)
    out = f", {outside} outside of plain KEDA's costs" if outside else ""
    return f"**{mean:.3f}** of {len(ratios)}, {max(ratios):.2f}, {worse}{out}, {cost:.2f}, {events / plain:.2f}"


def _per_trace(compared: Sequence[Compared]) -> None:
    print(
        "\n| trace | start-up | HPA at 80 %: cost, shed % | ours: cost, shed % | plain KEDA at our cost, shed % "
        "| ratio | mean quantile | events a day: ours, plain 1.5 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for one in compared:
        result, hpa, ours = one.result, one.plain.plain_at(1.25), one.result.points[OURS]
        plain = shed_at_cost(one.plain.plain, ours.cost_ratio)
        ratio = one.ratio(OURS)
        print(
            f"| {result.name} | {result.startup:g} s | {hpa.cost_ratio:.2f}, {100 * hpa.under_provisioned_load:.3f} "
            f"| {ours.cost_ratio:.2f}, {100 * ours.under_provisioned_load:.3f} "
            f"| {'' if plain is None else f'{100 * plain:.3f}'} | {'' if ratio is None else f'{ratio:.2f}'} "
            f"| {result.level:.2f} | {ours.scale_events / result.days:.0f}, "
            f"{one.plain.plain_at(1.5).scale_events / result.days:.0f} |"
        )


def _smooth(compared: Sequence[Compared]) -> None:
    print("\n| smooth trace | start-up | HPA at 80 %: cost, shed % | ours: cost, shed % |")
    print("|---|---|---|---|")
    for one in compared:
        if one.result.name in SMOOTH:
            hpa, ours = one.plain.plain_at(1.25), one.result.points[OURS]
            print(
                f"| {one.result.name} | {one.result.startup:g} s "
                f"| {hpa.cost_ratio:.3f}, {100 * hpa.under_provisioned_load:.3f} "
                f"| {ours.cost_ratio:.3f}, {100 * ours.under_provisioned_load:.3f} |"
            )
