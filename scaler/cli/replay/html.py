"""From the runs to the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scaler.cli.arguments import writing
from scaler.cli.replay.jobs import Run, RunJob, run_setting
from scaler.cli.replay.output import forecasters
from scaler.replay.report import Content, Shown, page
from scaler.replay.study import Setting
from scaler.words import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from scaler.cli.replay.jobs import Fitted
    from scaler.replay.compare import Point
    from scaler.replay.study import Study

__all__ = ["COMPARED", "write_html"]

COMPARED = (Setting("reactive", 1.0), Setting("offset", 1.0))
"""What the page shows over time beside the policy asked for."""


def write_html(
    path: Path,
    name: str,
    study: Study,
    asked: Setting,
    runs: Sequence[Run],
    fits: Sequence[Fitted],
    calibration: Mapping[float, float],
) -> None:
    """Writes the page.

    Args:
        path: Where to.
        name: Of the series.
        study: What was replayed.
        asked: The setting that the page is about.
        runs: A sweep; those of `asked` and `COMPARED` kept whole.
        fits: What the forecasts came from.
        calibration: Actual coverage of the forecast peaks by quantile.
    """
    by_setting = {run.setting: run for run in runs}
    equal = _equal_cost(study, by_setting[asked].point, [run.point for run in runs])
    others = [_shown(by_setting[setting]) for setting in COMPARED if setting != asked]
    if equal is not None and equal.setting not in (*COMPARED, asked):
        others.insert(1, _shown(equal))
    shown_equal = None if equal is None else next((one for one in others if one.point == equal.point), None)
    chosen_served = by_setting[asked].served
    content = Content(
        name=name,
        study=study,
        chosen=_shown(by_setting[asked]),
        others=others,
        equal_cost=shown_equal,
        curves=_curves([run.point for run in runs if run.setting.policy != "foresail" or run.setting.quantile]),
        calibration=calibration,
        forecasts="; ".join(forecasters(fits)),
        gate=chosen_served.gate if chosen_served is not None else None,
    )
    text = page(content)
    with writing("--html", path) as file:
        file.write(text)


def _equal_cost(study: Study, chosen: Point, points: Sequence[Point]) -> Run | None:
    """Plain KEDA with the headroom at which it costs what the chosen policy costs."""
    curve = sorted(
        (point.cost_ratio, point.headroom)
        for point in points
        if point.policy == "reactive" and point.headroom is not None
    )
    costs, headrooms = zip(*curve, strict=True)
    if chosen.policy in ("reactive", "oracle") or not costs[0] <= chosen.cost_ratio <= costs[-1]:
        return None
    headroom = round(float(np.interp(chosen.cost_ratio, costs, headrooms)), 3)
    return run_setting(RunJob(study=study, setting=Setting("reactive", headroom), whole=True))


def _shown(run: Run) -> Shown:
    if run.outcome is None:
        raise ValueError("only a run that was kept whole can be shown")
    return Shown(_label(run.setting), run.point, run.outcome)


def _label(setting: Setting) -> str:
    headroom = "" if setting.headroom in (None, 1.0) else f", headroom {number(setting.headroom or 1.0)}"
    if setting.policy == "foresail":
        quantile = "a chosen quantile" if setting.quantile is None else f"quantile {number(setting.quantile)}"
        return f"Foresail at {quantile}{headroom}"
    if setting.policy == "oracle":
        return "an oracle"
    return ("plain KEDA" if setting.policy == "reactive" else "KEDA looking a week back") + headroom


def _curves(points: Sequence[Point]) -> dict[str, list[Point]]:
    """The sweep's settings as curves: in one of Foresail's the quantile moves, in the others the headroom."""
    foresail = [point for point in points if point.policy == "foresail"]
    usual = max({point.headroom for point in foresail}, key=lambda h: sum(point.headroom == h for point in foresail))
    return {
        f"Foresail, headroom {number(usual or 1.0)}, by quantile": [p for p in foresail if p.headroom == usual],
        "plain KEDA, by headroom": [point for point in points if point.policy == "reactive"],
        "KEDA looking a week back, by headroom": [point for point in points if point.policy == "offset"],
    }
