"""The report as one HTML page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from scaler import __version__
from scaler.replay.hpa import SYNC_PERIOD
from scaler.replay.report.charts import curves_chart, episode_chart, load_chart
from scaler.replay.report.content import episodes
from scaler.replay.report.words import scaled_object, summary
from scaler.report.charts import CURVE_CLASSES, calibration_chart
from scaler.report.document import document, figure, key, table
from scaler.times import iso
from scaler.words import duration, number

if TYPE_CHECKING:
    from scaler.replay.report.content import Content, Episode, Shown

__all__ = ["page"]

_EVENTS = 12  # in the table
_CLOSE_UP = 4  # drawn

_CALIBRATION = (
    "How often the actual peak within the lead time stayed at or below the forecast quantile. On the dashed line: as "
    "promised. Below it: the forecast was too low too often."
)


def page(content: Content) -> str:
    """The whole page."""
    parts = (
        _head(content),
        _table(content),
        _over_time(content),
        _curves(content),
        _events(content),
        _gate(content),
        _paste(content),
        _fine_print(content),
    )
    return document(f"Foresail on {content.name}", parts)


def _head(content: Content) -> str:
    first, *rest = summary(content)
    demand = content.chosen.outcome.demand
    end = demand.start + len(demand.load) * SYNC_PERIOD
    return (
        f"<header><h1>Foresail on {escape(content.name)}</h1>"
        f'<p class="muted">Replay from {iso(demand.start)} to {iso(end)}, HPA sync by sync</p></header>'
        f'<section class="card"><p class="lead">{escape(first)}</p>{"".join(f"<p>{escape(one)}</p>" for one in rest)}'
        "</section>"
    )


def _table(content: Content) -> str:
    heads = ("policy", "load shed", "time short", "cost", "pod-hours", "size changes")
    rows = [_row(one) for one in (content.chosen, *content.others)]
    return (
        f"<section>{table(heads, rows, own=0)}"
        '<p class="muted">Load shed: load that found no ready pod, as a part of all. Cost: pod-hours from creation '
        "to deletion, an oracle's are 1.</p></section>"
    )


def _row(shown: Shown) -> tuple[str, ...]:
    point = shown.point
    return (
        shown.label,
        f"{point.under_provisioned_load:.3%}",
        f"{point.under_provisioned_time:.2%}",
        f"{point.cost_ratio:.3f}",
        number(point.pod_hours),
        str(point.scale_events),
    )


def _over_time(content: Content) -> str:
    shown = (content.chosen, *content.others)
    highest = _highest(content)
    # a capacity far above every load would press all plots flat
    top = min(2 * highest, max(highest, *(float(one.outcome.capacity.max()) for one in shown))) * 1.03
    figures = "".join(
        f"<h3>{escape(one.label)}</h3>"
        f"{figure(load_chart(one.outcome, top=top, title=f'load and capacity over time: {one.label}'))}"
        for one in shown
    )
    keys = key(("load", "load"), ("capacity", "capacity: ready pods times what one carries"), ("short", "shortfall"))
    return f"<section><h2>Load, capacity, shortfall</h2>{keys}{figures}</section>"


def _highest(content: Content) -> float:
    load = content.chosen.outcome.demand.load
    return float(load[load == load].max(initial=1.0))  # noqa: PLR0124  # NaN is not itself


def _curves(content: Content) -> str:
    if not content.curves:
        return ""
    keys = key(*((name, label) for label, name in zip(content.curves, CURVE_CLASSES, strict=False)))
    calibration = ""
    if content.calibration:
        calibration = (
            "<h3>Do the forecasts keep their promise?</h3>"
            f'<div class="pair">{figure(calibration_chart([content.calibration]), _CALIBRATION)}</div>'
        )
    return (
        "<section><h2>What a little more costs, and what it saves</h2>"
        "<p>Each point is one setting, replayed. Lower and further left is better; the ring is this report's "
        "setting.</p>"
        f"{keys}{figure(curves_chart(content.curves, content.chosen.point))}{calibration}</section>"
    )


def _events(content: Content) -> str:
    compared = (content.chosen, content.equal_cost or content.others[0])
    found = episodes([one.outcome for one in compared], most=_EVENTS)
    if not found:
        return "<section><h2>Events</h2><p>Neither policy fell short at any moment.</p></section>"
    times = content.chosen.outcome.demand.times()
    target = content.study.workload.target
    rows = [_event(episode, times, target) for episode in found]
    keys = key(("load-area", "load"), *zip(CURVE_CLASSES, (f"capacity, {one.label}" for one in compared), strict=False))
    closer = "".join(
        figure(episode_chart(episode, compared), iso(times[episode.first])) for episode in found[:_CLOSE_UP]
    )
    heads = ("from (UTC)", "lasted", "highest load", "pods it needs", *(f"shed, {one.label}" for one in compared))
    return (
        f"<section><h2>The events that hurt most</h2>{table(heads, rows)}"
        f'<p class="muted">Shed: in load times seconds.</p>{keys}<div class="pair">{closer}</div></section>'
    )


def _event(episode: Episode, times: object, target: float) -> tuple[str, ...]:
    return (
        iso(times[episode.first]),  # type: ignore[index]  # an array
        duration((episode.last - episode.first + 1) * SYNC_PERIOD),
        number(episode.peak),
        str(-int(-episode.peak // target)),
        *(number(shed) for shed in episode.shed),
    )


def _gate(content: Content) -> str:
    """When the forecast was left out, and why."""
    if content.gate is None or not content.gate.changes:
        return ""
    shown = content.gate.changes[:_EVENTS]
    rows = [(iso(one.time), "takes part" if one.trusted else "is left out", one.verdict) for one in shown]
    more = len(content.gate.changes) - len(shown)
    rest = f'<p class="muted">{more} more changes.</p>' if more else ""
    return f"<section><h2>The gate</h2>{table(('from (UTC)', 'the forecast', 'because'), rows)}{rest}</section>"


def _paste(content: Content) -> str:
    return (
        "<section><h2>To turn it on</h2><p>This ScaledObject gives what was replayed. Fill in what only you know: the "
        f"marked lines.</p><pre>{escape(scaled_object(content))}</pre></section>"
    )


def _fine_print(content: Content) -> str:
    study = content.study
    workload = study.workload
    origin = f" ({study.lead_time_origin})" if study.lead_time_origin else ""
    startup = ", ".join(duration(seconds) for seconds in workload.pod_startup)
    behavior = "none, as KEDA creates HPAs by default" if workload.behavior is None else "given (see the ScaledObject)"
    return (
        "<section><h2>How this was computed</h2>"
        f'<p class="muted">The arithmetic of the HPA and of KEDA, sync by sync, {SYNC_PERIOD} s apart, checked against '
        "recordings of a real HPA behind a real KEDA. The load of a sample lasts until the next. A pod carries "
        f"{number(workload.target)}, serves {escape(startup)} after its creation and costs from then on; pods that are "
        f"not ready go first on the way down. The HPA's behavior: {behavior}. Lead time: "
        f"{duration(study.decision.lead_time)}{escape(origin)}. Forecasts and fits used only what was known at their "
        "time; settings other than this report's are shown for comparison, and picking the best of them afterwards "
        "flatters it. "
        f"Foresail {escape(__version__)}.</p></section>"
    )
