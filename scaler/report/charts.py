"""Plots that more than one page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scaler.report.svg import Plot, nice_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CURVE_CLASSES", "calibration_chart"]

CURVE_CLASSES = ("p1", "p2", "p3", "p4")
"""Of the curves of a plot, in their order."""


def calibration_chart(
    curves: Sequence[Mapping[float, float]], *, title: str = "promised against actual coverage"
) -> str:
    """Promised against actual coverage.

    Args:
        curves: Actual coverage by the promised one; a line each.
        title: What a screen reader says.
    """
    low = min((share for curve in curves for pair in curve.items() for share in pair), default=0.5)
    low = float(np.floor(min(0.5, low) * 10) / 10)
    plot = Plot(title, (low, 1.0), (low, 1.0), width=470, height=340)
    ticks = [(tick, f"{tick:.0%}") for tick in nice_ticks(low, 1.0, count=5)]
    plot.axes(ticks, ticks, x_name="promised")
    plot.line([(low, low), (1.0, 1.0)], "diagonal")
    for curve, name in zip(curves, CURVE_CLASSES, strict=False):
        points = sorted(curve.items())
        plot.line(points, name)
        for promised, actual in points:
            plot.dot(promised, actual, f"{name} dot", f"promised {promised:.1%}, actual {actual:.1%}")
    return plot.render()
