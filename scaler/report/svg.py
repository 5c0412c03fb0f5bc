"""Plots as SVG text: scales, axes, lines."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Plot", "nice_ticks", "time_ticks"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 30  # room for the axes' labels, in units of the view box
_HALF_LABEL = 6  # what a label at the very end would stick out beyond that room
_STEPS = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 14 * 86400, 28 * 86400)


@dataclass(slots=True)
class Plot:
    """A plot area with two axes; what is drawn is added in order.

    Attributes:
        title: What a screen reader says.
        x: Lowest and highest value of the horizontal axis.
        y: Of the vertical one.
        width: Of the view box.
        height: Of the view box.
        log: Whether the vertical axis is logarithmic.
    """

    title: str
    x: tuple[float, float]
    y: tuple[float, float]
    width: int = 960
    height: int = 200
    log: bool = False
    parts: list[str] = field(default_factory=list)

    def at_x(self, value: float) -> float:
        """Where a value lies, in units of the view box."""
        low, high = self.x
        return _LEFT + (value - low) / ((high - low) or 1) * (self.width - _LEFT - _RIGHT)

    def at_y(self, value: float) -> float:
        """Where a value lies, in units of the view box; cut off at the ends of the axis."""
        low, high = self.y
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        part = min(1.0, max(0.0, (value - low) / ((high - low) or 1)))
        return self.height - _BOTTOM - part * (self.height - _TOP - _BOTTOM)

    def line(self, points: Iterable[tuple[float, float]], name: str) -> None:
        """A line of the class `name`."""
        self.parts.append(f'<path class="{name}" d="{self._path(points)}"/>')

    def area(self, points: Sequence[tuple[float, float]], name: str) -> None:
        """The area below a line."""
        if points:
            floor = self.at_y(self.y[0])
            ends = f"L{self.at_x(points[-1][0]):.1f} {floor:.1f}L{self.at_x(points[0][0]):.1f} {floor:.1f}Z"
            self.parts.append(f'<path class="{name}" d="{self._path(points)}{ends}"/>')

    def band(
        self, points: Sequence[tuple[float, float, float]], name: str, *, opacity: float = 1.0, says: str = ""
    ) -> None:
        """The area between two lines.

        Args:
            points: Of both: x, the lower y, the upper y; those with NaN break it.
            name: Its class.
            opacity: Of its filling.
            says: What it says when pointed at.
        """
        path, run = "", []
        for point in (*points, (math.nan,) * 3):
            if not math.isnan(point[1] + point[2]):
                run.append(point)
                continue
            if len(run) > 1:
                back = [(x, low) for x, low, _ in reversed(run)]
                path += self._path([(x, high) for x, _, high in run]) + "L" + self._path(back)[1:] + "Z"
            run = []
        if path:
            title = f"<title>{escape(says)}</title>" if says else ""
            self.parts.append(f'<path class="{name}" style="fill-opacity:{opacity:g}" d="{path}">{title}</path>')

    def bars(self, bars: Iterable[tuple[float, float, float]], name: str, *, width: float = 1.4) -> None:
        """Vertical bars (x, from, to)."""
        path = "".join(
            f"M{self.at_x(x):.1f} {self.at_y(low):.1f}V{min(self.at_y(high), self.at_y(low) - 1):.1f}"
            for x, low, high in bars
        )
        self.parts.append(f'<path class="{name}" style="stroke-width:{width:g}" d="{path}"/>')

    def dot(self, x: float, y: float, name: str, says: str, *, radius: float = 3.5) -> None:
        """A point that says something when pointed at."""
        self.parts.append(
            f'<circle class="{name}" cx="{self.at_x(x):.1f}" cy="{self.at_y(y):.1f}" r="{radius:g}">'
            f"<title>{escape(says)}</title></circle>"
        )

    def axes(
        self, x_ticks: Iterable[tuple[float, str]], y_ticks: Iterable[tuple[float, str]], *, x_name: str = ""
    ) -> None:
        """Grid lines with labels."""
        bottom = self.height - _BOTTOM
        for value, label in y_ticks:
            y = self.at_y(value)
            self.parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{self.width - _RIGHT}"/>')
            self.parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        for value, label in x_ticks:
            x = self.at_x(value)
            self.parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
            anchor = "middle" if x < self.width - _RIGHT - _HALF_LABEL else "end"  # the last one must not spill
            x = x if anchor == "middle" else self.width - 2
            self.parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="{anchor}">{escape(label)}</text>')
        if x_name:
            self.parts.append(
                f'<text x="{self.width - _RIGHT}" y="{self.height - 2}" text-anchor="end">{escape(x_name)}</text>'
            )

    def render(self) -> str:
        """The SVG element."""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(self.title)}">'
            f"{''.join(self.parts)}</svg>"
        )

    def _path(self, points: Iterable[tuple[float, float]]) -> str:
        commands: list[str] = []
        pen = "M"
        for x, y in points:
            if math.isnan(y):
                pen = "M"
                continue
            commands.append(f"{pen}{self.at_x(x):.1f} {self.at_y(y):.1f}")
            pen = "L"
        return "".join(commands)


def nice_ticks(low: float, high: float, *, count: int = 4) -> list[float]:
    """Round numbers from low to high, about `count` of them."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(start: float, end: float, *, count: int = 8) -> list[tuple[float, str]]:
    """Round moments from start to end (epoch seconds, UTC), about `count` of them, with labels."""
    step = next((step for step in _STEPS if (end - start) / step <= count), _STEPS[-1])
    first = math.ceil(start / step) * step
    form = "%-d %b" if step >= 86400 else "%H:%M"
    return [
        (float(moment), datetime.fromtimestamp(moment, tz=UTC).strftime(form))
        for moment in range(int(first), int(end) + 1, step)
    ]
