"""The report's plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scaler.replay.hpa import SYNC_PERIOD
from scaler.report.charts import CURVE_CLASSES
from scaler.report.svg import Plot, nice_ticks, time_ticks
from scaler.words import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler.replay.compare import Point
    from scaler.replay.report.content import Episode, Shown
    from scaler.replay.simulator import Outcome

__all__ = ["curves_chart", "episode_chart", "load_chart"]

_COLUMNS = 880  # points of a line: about one per pixel
_LOWEST = 1e-5  # of the load: a curve ends here, what sheds less is drawn on it


def load_chart(outcome: Outcome, *, top: float, title: str) -> str:
    """Load, capacity and shortfall over the whole test part.

    Each column of the plot shows its highest load, its least capacity and its worst shortfall, so no short event
    is lost between two pixels.
    """
    demand = outcome.demand
    start, end = demand.start, demand.start + len(demand.load) * SYNC_PERIOD
    plot = Plot(title, (start, end), (0.0, top))
    plot.axes(time_ticks(start, end), [(tick, number(tick)) for tick in nice_ticks(0.0, top)])
    columns = _columns(len(demand.load), _COLUMNS)
    times = demand.times()[columns].astype(np.float64)
    load = np.nan_to_num(demand.load)
    capacity = np.minimum.reduceat(outcome.capacity, columns)
    plot.area(list(zip(times.tolist(), capacity.tolist(), strict=True)), "capacity")
    highest = np.maximum.reduceat(load, columns)
    plot.line(zip(times.tolist(), highest.tolist(), strict=True), "load")
    worst = _worst(outcome.shortfall, columns)
    short = worst[outcome.shortfall[worst] > 0]
    plot.bars(
        zip(demand.times()[short].tolist(), outcome.capacity[short].tolist(), load[short].tolist(), strict=True),
        "short",
    )
    return plot.render()


def episode_chart(episode: Episode, shown: Sequence[Shown], *, margin: int = 1800) -> str:
    """One event close up: the load, and the capacity of each policy."""
    demand = shown[0].outcome.demand
    around = margin // SYNC_PERIOD
    first, last = max(0, episode.first - around), min(len(demand.load) - 1, episode.last + around)
    times = demand.times()[first : last + 1].tolist()
    capacities = [one.outcome.capacity[first : last + 1] for one in shown]
    load = demand.load[first : last + 1]
    top = max(float(np.nanmax(load, initial=0.0)), *(float(capacity.max()) for capacity in capacities)) * 1.05 or 1.0
    plot = Plot("one event close up", (times[0], times[-1]), (0.0, top), width=470, height=190)
    plot.axes(time_ticks(times[0], times[-1], count=5), [(tick, number(tick)) for tick in nice_ticks(0.0, top)])
    plot.area(list(zip(times, np.nan_to_num(load).tolist(), strict=True)), "load-area")
    for capacity, name in zip(capacities, CURVE_CLASSES, strict=False):
        plot.line(_steps(times, capacity.tolist()), name)
    return plot.render()


def curves_chart(curves: Mapping[str, Sequence[Point]], chosen: Point) -> str:
    """Cost against shortfall of every setting, one line per policy."""
    points = [point for curve in curves.values() for point in curve]
    right = min(max(point.cost_ratio for point in points), 3.0)
    highest = max(*(point.under_provisioned_load for point in points), _LOWEST * 10)
    lowest = max(_LOWEST, min(point.under_provisioned_load for point in points))
    low = min(10.0 ** np.floor(np.log10(lowest)), highest / 10)
    plot = Plot("cost against shortfall", (0.95, right), (low, highest * 1.3), width=960, height=340, log=True)
    decades = np.arange(np.ceil(np.log10(low)), np.log10(highest * 1.3))
    plot.axes(
        [(tick, number(tick)) for tick in nice_ticks(1.0, right, count=8)],
        [(10.0**decade, f"{100 * 10.0**decade:g} %") for decade in decades],
        x_name="cost: pod-hours, an oracle's are 1",
    )
    for (label, curve), name in zip(curves.items(), CURVE_CLASSES, strict=False):
        visible = sorted((point for point in curve if point.cost_ratio <= right), key=lambda point: point.cost_ratio)
        plot.line(((point.cost_ratio, point.under_provisioned_load) for point in visible), name)
        for point in visible:
            plot.dot(point.cost_ratio, point.under_provisioned_load, f"{name} dot", _says(label, point))
    if chosen.cost_ratio <= right:
        plot.dot(chosen.cost_ratio, chosen.under_provisioned_load, "chosen", _says("this report", chosen), radius=7)
    return plot.render()


def _says(label: str, point: Point) -> str:
    knobs = "" if point.headroom is None else f", headroom {number(point.headroom)}"
    if point.quantile is not None:
        knobs += f", quantile {number(point.quantile)}"
    return f"{label}{knobs}: sheds {point.under_provisioned_load:.3%} at cost {point.cost_ratio:.2f}"


def _columns(length: int, most: int) -> np.ndarray:
    """The first index of each column."""
    return np.unique(np.linspace(0, length, min(length, most), endpoint=False).astype(np.int64))


def _worst(shortfall: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The index of the largest shortfall in each column."""
    ends = np.append(columns[1:], len(shortfall))
    return np.array([first + int(np.argmax(shortfall[first:end])) for first, end in zip(columns, ends, strict=True)])


def _steps(times: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """A line that holds each value until the next."""
    points: list[tuple[float, float]] = []
    for n, (time, value) in enumerate(zip(times, values, strict=True)):
        if n and value == values[n - 1]:
            continue
        if n:
            points.append((time, values[n - 1]))
        points.append((time, value))
    points.append((times[-1], values[-1]))
    return points
