"""The backtest as one HTML page."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from scaler import __version__
from scaler.cli.backtest.charts import fan_chart, hours_chart, opacities, peak_chart
from scaler.cli.backtest.output import loss, percent, ratio
from scaler.cli.backtest.results import relative
from scaler.cli.backtest.words import summary
from scaler.kinds import show_duration, show_number
from scaler.report.charts import CURVE_CLASSES, calibration_chart
from scaler.report.document import document, figure, key, table
from scaler.times import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecasting.evaluation import Score
    from scaler.cli.backtest.content import Content

__all__ = ["page"]


def page(content: Content) -> str:
    """The whole page. It holds no running times: the same history gives the same page."""
    parts = (_head(content), _figures(content), _fans(content), _calibration(content), _hours(content), _print(content))
    return document(_title(content), parts)


def _title(content: Content) -> str:
    return f"{content.plan.forecaster} on {content.plan.name}"


def _head(content: Content) -> str:
    first, *rest = summary(content)
    plan = content.plan
    return (
        f"<header><h1>{escape(_title(content))}</h1>"
        f'<p class="muted">Backtest from {iso(plan.train_end)} to {iso(plan.series.end)}, a forecast every '
        f"{show_duration(plan.series.step)}</p></header>"
        f'<section class="card"><p class="lead">{escape(first)}</p>{"".join(f"<p>{escape(one)}</p>" for one in rest)}'
        "</section>"
    )


def _figures(content: Content) -> str:
    heads = (
        "ahead", "MASE", "level",
        "value: pinball loss", "divided by naive's", "coverage",
        "peak: pinball loss", "divided by naive's", "coverage",
    )  # fmt: skip
    results, reference = content.results, content.reference
    rows = []
    for horizon in content.plan.horizons:
        value, peak = results.value_scores[horizon], results.peak_scores[horizon]
        for n, level in enumerate(content.plan.levels):
            rows.append(
                (
                    "" if n else show_duration(horizon),
                    "" if n else ratio(value.mase),
                    show_number(level),
                    *_cells(value, reference.value_scores[horizon], level),
                    *_cells(peak, reference.peak_scores[horizon], level),
                )
            )
    return (
        f"<section>{table(heads, rows)}"
        '<p class="muted">Pinball loss: what a quantile costs that is too low or too high, in the unit of the load; '
        "naive repeats the last value. Coverage: how often the load stayed at or below the quantile; as often as the "
        "level says would be right. Peak: the highest load up to the horizon.</p></section>"
    )


def _cells(one: Score, other: Score, level: float) -> tuple[str, str, str]:
    return loss(one.pinball[level]), ratio(relative(one, other, level)), percent(one.coverage[level])


def _fans(content: Content) -> str:
    stretch, horizons = content.stretch, content.plan.horizons
    peaks = "".join(
        f"<h3>The highest load within the next {show_duration(horizon)}</h3>{figure(peak_chart(content, horizon))}"
        for horizon in horizons
    )
    return (
        f"<section><h2>Close up: {iso(stretch.start)} to {iso(stretch.end)}</h2>{_key_of_bands(content)}"
        f"<h3>Forecasts as they were issued, {show_duration(stretch.every)} apart, for "
        f"{show_duration(horizons[-1])} each</h3>{figure(fan_chart(content))}{peaks}"
        '<p class="muted">Peaks are drawn at the time of issue: the band is what was forecast then, the line what '
        "came within the time. Where the line leaves the band at the top, more load came than its highest quantile."
        "</p></section>"
    )


def _key_of_bands(content: Content) -> str:
    levels = content.results.levels
    above = [level for level in levels if level >= 0.5]
    bands = "".join(
        f'<li><i style="background:var(--p1);opacity:{opacity:g}"></i>{show_number(low)} to {show_number(high)}</li>'
        for (low, high), opacity in zip(pairwise(above), opacities(len(above) - 1), strict=True)
    )
    lines = key(("actual", "what came"), ("p1", "median")).removesuffix("</ul>")
    return f"{lines}{bands}</ul>"


def _calibration(content: Content) -> str:
    results, horizons = content.results, content.plan.horizons
    plots = "".join(
        figure(
            calibration_chart(_coverage(scores), title=f"promised against actual coverage of {what}"),
            f"{what[0].upper()}{what[1:]}",
        )
        for what, scores in (("values", results.value_scores), ("peaks", results.peak_scores))
    )
    drawn = [(name, show_duration(horizon)) for horizon, name in zip(horizons, CURVE_CLASSES, strict=False)]
    return (
        "<section><h2>Do the quantiles keep their promise?</h2><p>How often the load stayed at or below each quantile. "
        "On the dashed line: as promised. Below it: the forecast was too low too often; above: too cautious.</p>"
        f'{key(*drawn)}<div class="pair">{plots}</div></section>'
    )


def _coverage(scores: Mapping[int, Score]) -> list[dict[float, float]]:
    """Without what could not be judged."""
    return [{level: kept for level, kept in one.coverage.items() if not np.isnan(kept)} for one in scores.values()]


def _hours(content: Content) -> str:
    horizons = content.plan.horizons
    both = (content.results, content.reference)
    highest = [content.by_hour(results, horizon) for results in both for horizon in horizons]
    top = float(np.nanmax(np.append(np.concatenate(highest), 0.0))) * 1.05 or 1.0
    plots = "".join(
        figure(hours_chart(content, horizon, top=top), f"{show_duration(horizon)} ahead") for horizon in horizons
    )
    lines = [("p1", content.plan.forecaster)]
    if content.reference is not content.results:
        lines.append(("ref", "naive (dashed)"))
    return (
        "<section><h2>Error by hour of day</h2><p>How far the median was from what came, on average, by the hour (UTC) "
        f'of what was forecast, in the unit of the load.</p>{key(*lines)}<div class="pair">{plots}</div></section>'
    )


def _print(content: Content) -> str:
    plan = content.plan
    given = ", ".join(f"{name} = {value}" for name, value in plan.parameters.items())
    parameters = f" with {given}" if given else ""
    return (
        '<section><h2>How this was computed</h2><p class="muted">'
        f"{escape(plan.forecaster + parameters)} was fitted to the samples up to {iso(plan.train_end)} and again every "
        f"{show_duration(plan.refit_every)}, to at most {plan.history} samples each time, and asked for a forecast at "
        "every sample; each fit and each forecast used only what was known at its time. naive went through the same. "
        "The first part of the history was for learning only. Picking the best of many settings by pages such as this "
        f"one flatters the pick. Foresail {escape(__version__)}.</p></section>"
    )
