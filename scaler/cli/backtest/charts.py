"""The page's plots."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from scaler.cli.backtest.content import HOURS
from scaler.kinds import show_duration, show_number
from scaler.report.svg import Plot, nice_ticks, time_ticks
from scaler.words import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray
    from scaler.cli.backtest.content import Content

__all__ = ["fan_chart", "hours_chart", "opacities", "peak_chart"]

_STRONGEST, _FAINTEST = 0.55, 0.16  # filling of a fan's innermost and outermost band
_ROOM = 2.0  # a forecast may be drawn so many times as high as the highest load


def opacities(bands: int) -> list[float]:
    """Of the bands between levels, from the lowest up: the nearer to the median, the stronger."""
    return np.linspace(_STRONGEST, _FAINTEST, bands).round(3).tolist() if bands > 1 else [_STRONGEST] * bands


def fan_chart(content: Content) -> str:
    """The load of the stretch, and the forecasts of it as they were issued: one fan after the other."""
    plan, stretch, results = content.plan, content.stretch, content.results
    series, steps = plan.series, plan.steps[-1]
    shown = series.until(stretch.end).last((stretch.end - stretch.start) // series.step + 1)
    fans = {origin: results.whole[origin] for origin in stretch.origins if origin in results.whole}
    highest = max((float(np.nanmax(values)) for values in fans.values() if not np.isnan(values).all()), default=0.0)
    plot = _plot(f"forecasts as issued, {show_duration(stretch.every)} apart", content, shown.values, highest)
    for origin, values in fans.items():
        last = series.until(origin).values[-1]
        steady = np.concatenate([np.full((len(values), 1), last), values], axis=1)
        times = (origin + series.step * np.arange(steps + 1)).tolist()
        inside = [n for n, time in enumerate(times) if time <= stretch.end]
        _bands(plot, [times[n] for n in inside], steady[:, inside], results.levels)
        plot.line([(times[n], float(steady[results.median, n])) for n in inside], "median")
    plot.line(zip(shown.times().tolist(), shown.values.tolist(), strict=True), "actual")
    return plot.render()


def peak_chart(content: Content, horizon: int) -> str:
    """At each moment: the forecast of the coming peak, and what the peak was."""
    plan, stretch, results = content.plan, content.stretch, content.results
    series, n = plan.series, plan.horizons.index(horizon)
    issued = series.start + series.step * results.positions
    rows = np.flatnonzero((issued >= stretch.start) & (issued <= stretch.end))
    forecast = results.peaks[rows, :, n].T
    actual = content.outcomes.peaks[rows, n]
    highest = 0.0 if np.isnan(forecast).all() else float(np.nanmax(forecast))
    plot = _plot(f"the peak of the coming {show_duration(horizon)}", content, actual, highest)
    times = issued[rows].tolist()
    _bands(plot, times, forecast, results.levels)
    plot.line(zip(times, forecast[results.median].tolist(), strict=True), "median")
    plot.line(zip(times, actual.tolist(), strict=True), "actual")
    return plot.render()


def hours_chart(content: Content, horizon: int, *, top: float) -> str:
    """Mean absolute error by the hour of day, beside the reference's."""
    plot = Plot(
        f"error by hour of day, {show_duration(horizon)} ahead", (0.0, HOURS), (0.0, top), width=470, height=200
    )
    plot.axes(
        [(float(hour), f"{hour:02}") for hour in range(0, HOURS + 1, 3)],
        [(tick, number(tick)) for tick in nice_ticks(0.0, top)],
    )
    drawn = [(content.results, "p1")]
    if content.reference is not content.results:
        drawn.insert(0, (content.reference, "ref"))
    for results, name in drawn:
        errors = content.by_hour(results, horizon).tolist()
        plot.line([(float(hour + end), error) for hour, error in enumerate(errors) for end in (0, 1)], name)
    return plot.render()


def _plot(title: str, content: Content, load: FloatArray, highest: float) -> Plot:
    """The frame of a plot of the stretch; a band far above every load would press the rest flat."""
    most = float(np.nanmax(np.append(load, 0.0)))
    top = 1.03 * (min(max(most, highest), _ROOM * most) if most else highest or 1.0)
    start, end = content.stretch.start, content.stretch.end
    plot = Plot(title, (start, end), (0.0, top), height=230)
    plot.axes(time_ticks(start, end, count=12), [(tick, number(tick)) for tick in nice_ticks(0.0, top)])
    return plot


def _bands(plot: Plot, times: Sequence[float], quantiles: FloatArray, levels: Sequence[float]) -> None:
    """One for each pair of neighbouring levels; those below the median mirror those above."""
    above = sum(level > 0.5 for level in levels)
    below = sum(level < 0.5 for level in levels)
    strengths = [*reversed(opacities(below)), *opacities(above)]
    for n, (low, high) in enumerate(pairwise(levels)):
        points = list(zip(times, quantiles[n].tolist(), quantiles[n + 1].tolist(), strict=True))
        says = f"from quantile {show_number(low)} to {show_number(high)}"
        plot.band(points, "fan", opacity=strengths[n], says=says)
