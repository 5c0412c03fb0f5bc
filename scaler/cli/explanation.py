"""An explanation as people read it: the sentence first, then what led to it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from scaler.words import duration, number, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from scaler.web.board import EventPart, Explanation, ForecastPart
    from scaler.web.log import LoggedDecision

__all__ = ["parts", "show", "show_log"]

_ALARMING = {"warning", "source error", "not served"}


def show(console: Console, explanations: Sequence[Explanation]) -> None:
    """Prints the explanations of one ScaledObject's triggers."""
    for position, one in enumerate(explanations):
        if position:
            console.print()
        heading = f"{one.namespace}/{one.name}  {one.metric}"
        if len(explanations) > 1:
            heading += f"  (trigger {one.trigger})"
        console.print(Text(heading, style="dim"))
        console.print(Text(one.reason, style="bold" if one.served is not None else "bold red"))
        console.print()
        console.print(_table(one))


def show_log(console: Console, decisions: Sequence[LoggedDecision]) -> None:
    """Prints how the answers of one ScaledObject's triggers changed, in local time."""
    several = len({one.trigger for one in decisions}) > 1
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="cyan")
    if several:
        table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for one in decisions:
        time = f"{datetime.fromtimestamp(one.at, UTC).astimezone():%Y-%m-%d %H:%M:%S%z}"
        sentence = Text(one.reason if one.served is not None else f"not served: {one.reason}")
        sentence.stylize("" if one.served is not None else "red")
        table.add_row(time, *([f"trigger {one.trigger}"] if several else []), sentence)
    console.print(table)


def _table(one: Explanation) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    said = ""
    for label, text in parts(one):
        style = "red" if label in _ALARMING else ""
        table.add_row(Text(f"  {label}" if label != said else "", style=style or "cyan"), Text(text, style=style))
        said = label
    return table


def parts(one: Explanation) -> Iterator[tuple[str, str]]:
    """What led to the answer: (label, text) pairs; lines of one part have the same label, one after the other."""
    yield from _answer(one)
    yield from _observed(one)
    yield from _forecast(one)
    if one.event is not None:
        yield from _event(one.event)
    if one.note:
        yield "note", one.note
    if one.warning:
        yield "warning", one.warning
    if one.source_error:
        yield "source error", one.source_error
    delays = duration(one.window - one.lead_time)
    yield "lead time", f"{duration(one.lead_time)} until a pod asked for now serves"
    if one.lead_time_origin:
        yield "lead time", one.lead_time_origin
    ahead = f"{duration(one.window)} are looked ahead"
    yield "lead time", f"{ahead}: with {delays} until KEDA and the HPA ask, and for a load that comes early"
    yield "source", one.source
    yield "query", one.query


def _answer(one: Explanation) -> Iterator[tuple[str, str]]:
    if one.served is None:
        yield "not served", "KEDA gets an error, keeps the replicas, and uses the ScaledObject's fallback if it has one"
        return
    awake = "active" if one.active else f"not active: not above {number(one.activation_threshold)}"
    yield "served", f"{number(one.served)} to KEDA, {awake}"
    pods = plural(math.ceil(one.served / one.threshold), "pod")
    yield "served", f"at {number(one.threshold)} for each pod that is {pods}, before the HPA's tolerance and limits"
    if one.mode == "observe" and one.would_serve is not None:
        yield "mode", f"observe; active mode would serve {number(one.would_serve)}"


def _observed(one: Explanation) -> Iterator[tuple[str, str]]:
    seen = one.observed
    if seen is None:
        yield "observed", "nothing yet"
        return
    yield "observed", f"{number(seen.value)}, {duration(seen.age)} ago"
    yield "floor", f"{number(seen.floor)} = {number(seen.headroom)} x observed"


def _forecast(one: Explanation) -> Iterator[tuple[str, str]]:
    part = one.forecast
    if part is None:
        yield "forecast", "none"
        return
    yield from _peak(part)
    if part.choice:
        yield "quantile", part.choice
    yield "forecast", f"by {part.model}, fitted {duration(part.model_age)} ago"
    if part.explanation:
        yield "forecast", part.explanation
    yield "forecast", f"it knows the samples up to {duration(part.age)} ago"
    if part.cap is not None:
        yield "cap", f"{number(part.cap)}; the highest load of the history is {number(part.highest)}"
    if part.bands:
        bands = "   ".join(f"{level}: {number(value)}" for level, value in part.bands.items())
        yield "quantiles", f"{bands}   of the peak within the lead time, when it was made"
    if one.gate is not None:
        short = "the forecast is trusted" if one.gate.trusted else "the forecast is not trusted"
        yield "gate", one.gate.verdict or short


def _event(part: EventPart) -> Iterator[tuple[str, str]]:
    does = [f"x{number(part.factor)}"] if part.factor != 1.0 else []
    does += [f"at least {number(part.floor)}"] if part.floor else []
    yield "event", f"{part.name}: {', '.join(does)}, until {part.until}"
    yield "event", f"it asks for {number(part.asks)}" + ("" if part.used else ", which is not more than the rest")


def _peak(part: ForecastPart) -> Iterator[tuple[str, str]]:
    level = number(part.quantile)
    if part.peak is None:
        yield "forecast", f"not looked at while the load is unknown; it is for the {level}-quantile of the peak"
        return
    when = f", reached in {duration(part.peak_in)} at the latest" if part.peak_in else ""
    yield "forecast", f"{number(part.peak)}, the {level}-quantile of the peak{when}"
    if not part.used:
        yield "forecast", "it took no part in the answer"
