"""The JSON answers of Prometheus's query API, typed."""

from __future__ import annotations

import math
from typing import TypeAlias

import msgspec

__all__ = ["Answer", "Data", "Labels", "Range", "RangeText", "Vector", "go_number", "label_text"]

Labels: TypeAlias = dict[str, str]
Value: TypeAlias = tuple[float, str]  # epoch seconds; the number, as Go writes it

_LONGEST_LABELS = 160  # characters of one label set in our texts


class Vector(msgspec.Struct):
    """One series of an instant vector. `value` is missing where the result is a native histogram."""

    metric: Labels = {}
    value: Value | None = None


class Range(msgspec.Struct):
    """One series of a range query, to be decoded with `strict=False`: its numbers are read as they are decoded."""

    metric: Labels = {}
    values: list[tuple[float, float]] = []


class RangeText(msgspec.Struct):
    """The same with numbers as texts, among them those that only Go writes, such as +Inf."""

    metric: Labels = {}
    values: list[Value] = []


class Data(msgspec.Struct, rename={"kind": "resultType"}):
    """The result, to be read as its kind says: vector, matrix, scalar or string."""

    kind: str
    result: msgspec.Raw


class Answer(msgspec.Struct, rename={"error_type": "errorType", "partial": "isPartial"}):
    """The envelope of every answer."""

    status: str
    data: Data | None = None
    error_type: str = ""
    error: str = ""
    warnings: list[str] = []
    infos: list[str] = []
    partial: bool = False  # VictoriaMetrics: some storage nodes did not answer


def go_number(value: float) -> str:
    """NaN, +Inf and -Inf as Prometheus writes them."""
    return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"


def label_text(labels: Labels) -> str:
    """A label set as PromQL writes it, bounded: `up{job="a"}`."""
    name = labels.get("__name__", "")
    pairs = ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items()) if key != "__name__")
    text = f"{name}{{{pairs}}}"
    return text if len(text) <= _LONGEST_LABELS else text[: _LONGEST_LABELS - 2] + "…}"
