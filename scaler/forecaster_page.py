"""Renders the reference page of the built-in forecasters from their docstrings and parameters."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING

from forecasting.registry import BUILT_IN, Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecasting.forecaster import Forecaster

__all__ = ["forecasters_page"]

_HEAD = """\
# Forecasters

A trigger chooses one by `forecaster: NAME`, and sets a parameter of it by `forecaster.PARAMETER: VALUE`. The command
`foresail backtest SERIES.csv --forecaster NAME` tries one on your own history. Costs are CPU time of one thread.
"""


def forecasters_page(generated: str) -> str:
    """The page, as Markdown.

    Args:
        generated: How it was made, for a comment at its top.
    """
    registry = Registry()
    for factory in BUILT_IN:
        registry.register(factory)
    parts = [f"<!-- {generated} -->\n", _HEAD]
    for name in registry.names():
        factory = type(registry.create(name))
        parts.append(f"## {name}\n\n{inspect.cleandoc(sys.modules[factory.__module__].__doc__ or '')}\n")
        parameters = registry.parameters(name)
        if parameters:
            told = _described(factory)
            rows = "\n".join(f"| `{p.name}` | {p.kind} | {p.default} | {told[p.name]} |" for p in parameters)
            parts.append(f"| Parameter | Value | Default | What it is |\n|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _described(factory: type[Forecaster]) -> Mapping[str, str]:
    """What a forecaster's docstring says of each of its attributes, one line each, `None` as users write it."""
    _, _, section = inspect.cleandoc(factory.__doc__ or "").partition("Attributes:\n")
    out: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        indent = len(line) - len(line.lstrip())
        if not indent:
            break
        if indent == 4:
            name, _, text = line.strip().partition(": ")
            out[name] = text.replace("None: ", "auto: ")
        else:
            out[name] = f"{out[name]} {line.strip()}"
    return out
