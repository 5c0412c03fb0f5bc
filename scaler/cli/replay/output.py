"""What a replay prints and writes."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from scaler.cli.arguments import writing
from scaler.replay.compare import shed_at_cost
from scaler.replay.report import gate_in_words
from scaler.times import iso
from scaler.words import duration, number, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaler.cli.replay.jobs import Fitted, Run
    from scaler.replay.study import Study

__all__ = ["forecasters", "print_json", "print_table", "write_decisions"]


def print_json(series: str, chosen: Run, sweep: Sequence[Run], *, seconds: float) -> None:
    """The figures of the setting asked for, and those of a sweep under `sweep`."""
    document: dict[str, object] = _figures(series, chosen, seconds)
    gate = chosen.served.gate if chosen.served else None
    if gate is not None:
        document["gate"] = asdict(gate)
    if sweep:
        document["sweep"] = [_figures(series, run, None) for run in sweep]
    print(json.dumps(document))


def _figures(series: str, run: Run, seconds: float | None) -> dict[str, object]:
    point = run.point
    figures: dict[str, object] = {
        "series": series,
        "policy": point.policy,
        "quantile": None if run.quantile is None else round(run.quantile, 6),
        "headroom": point.headroom,
        "under_provisioned_load": point.under_provisioned_load,
        "under_provisioned_time": point.under_provisioned_time,
        "pod_hours": point.pod_hours,
        "oracle_pod_hours": point.oracle_pod_hours,
        "cost_ratio": point.cost_ratio,
        "scale_events": point.scale_events,
    }
    if seconds is not None:
        figures["seconds"] = round(seconds, 3)
    return figures


def write_decisions(path: Path, chosen: Run) -> None:
    """One line for each HPA sync of the test part: `timestamp,observed,served,desired,ready,reason`."""
    served, outcome = chosen.served, chosen.outcome
    if served is None or outcome is None:
        raise ValueError("only a run that was kept whole has decisions")
    demand = outcome.demand
    columns = (
        demand.times().tolist(),
        demand.observed.tolist(),
        served.value.tolist(),
        outcome.desired.tolist(),
        outcome.ready.tolist(),
        served.reasons,
        outcome.reasons,
    )
    with writing("--decisions", path) as file:
        writer = csv.writer(file)
        writer.writerow(("timestamp", "observed", "served", "desired", "ready", "reason"))
        for time, observed, value, desired, ready, reason, hpa in zip(*columns, strict=True):
            said = f"{reason}, {hpa}" if hpa else reason
            writer.writerow((time, _cell(observed), _cell(value), desired, ready, said))


def _cell(value: float) -> str:
    """Every digit that there is; nothing where the value is not known."""
    return "" if math.isnan(value) else repr(value)


def print_table(
    series: str,
    study: Study,
    chosen: Run,
    runs: Sequence[Run],
    fits: Sequence[Fitted],
    *,
    seconds: float,
    forecasting: float,
) -> None:
    """The figures for people; `forecasting` is the part of the seconds that fits and forecasts took."""
    console = Console()
    span = duration(study.series.end + study.series.step - study.start)
    table = Table(title=f"{series}: {span} from {iso(study.start)}", box=SIMPLE_HEAD)
    for heading in ("policy", "headroom", "quantile", "shed", "short", "cost", "pod-h", "events"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for run in runs:
        point = run.point
        table.add_row(
            point.policy,
            "" if point.headroom is None else number(point.headroom),
            _quantile(run),
            f"{point.under_provisioned_load:.3%}",
            f"{point.under_provisioned_time:.2%}",
            f"{point.cost_ratio:.3f}",
            number(point.pod_hours),
            str(point.scale_events),
            style="bold" if run is chosen else "",
        )
    console.print(table)
    measured = [f"lead time {duration(study.decision.lead_time)}: {study.lead_time_origin}"]
    for line in (
        *(measured if study.lead_time_origin else ()),
        *forecasters(fits),
        *_gate(chosen),
        *_comparison(chosen, runs),
        _took(seconds, forecasting, forecasts=bool(fits)),
    ):
        console.print(line, highlight=False)


def _took(seconds: float, forecasting: float, *, forecasts: bool) -> str:
    parts = f": {duration(forecasting)} for fits and forecasts, {duration(seconds - forecasting)} for all else"
    return f"took {duration(seconds)}" + (parts if forecasts else "")


def _gate(chosen: Run) -> list[str]:
    gate = chosen.served.gate if chosen.served else None
    return [] if gate is None else [gate_in_words(gate)]


def _quantile(run: Run) -> str:
    if run.quantile is None:
        return ""
    return number(run.quantile) if run.setting.quantile is not None else f"auto, {run.quantile:.3g}"


def forecasters(fits: Sequence[Fitted]) -> list[str]:
    """Which methods forecast, how often, and what the last one says."""
    if not fits:
        return []
    names = [fitted.forecaster or "none" for fitted in fits]
    counted = ", ".join(f"{name} ({plural(names.count(name), 'fit')})" for name in dict.fromkeys(names))
    last = fits[-1].explanation
    return [f"forecasts by {counted}{': ' + last if last else ''}"]


def _comparison(chosen: Run, runs: Sequence[Run]) -> list[str]:
    """What plain KEDA sheds for the same pod-hours, if a sweep has shown it."""
    curve = [run.point for run in runs if run.point.policy == "reactive"]
    if chosen.point.policy in ("reactive", "oracle") or len(curve) < 3:
        return []
    plain = shed_at_cost(curve, chosen.point.cost_ratio)
    if not plain:
        return []
    ratio = chosen.point.under_provisioned_load / plain
    return [f"plain KEDA given the same pod-hours sheds {plain:.3%}: {chosen.point.policy} sheds {ratio:.2f} of that"]
