"""What processes take of the machine, as Linux counts it, and what their own metrics say."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Memory", "children", "cpu_seconds", "histogram_quantile", "memory", "samples"]

_LINE = re.compile(r"^(?P<name>[a-zA-Z_:]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, MiB: resident, and with shared pages counted in parts."""

    resident: float
    proportional: float


def cpu_seconds(pid: int) -> float:
    """User and system time that the process has used, by its CPU clock: /proc counts hundredths of a second.

    The clock's number is that of clock_getcpuclockid(3).
    """
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid: int) -> Memory:
    """What the process holds now."""
    found = dict(re.findall(r"^(Rss|Pss): +(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
    return Memory(int(found["Rss"]) / 1024, int(found["Pss"]) / 1024)


def children(pid: int) -> dict[int, str]:
    """The processes that it has started: number -> command line."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = {}
    for child in map(int, found):
        lines[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return lines


def samples(page: str, name: str) -> dict[str, float]:
    """The samples of one metric on an exposition page: labels, as written -> value."""
    return {found["labels"] or "": float(found["value"]) for found in _LINE.finditer(page) if found["name"] == name}


def histogram_quantile(before: Mapping[str, float], after: Mapping[str, float], part: float) -> float:
    """The upper bound of the bucket that the quantile of what came in between lies in; 0.0 if nothing came.

    Args:
        before: The histogram's `_bucket` samples at first, as `samples` gives them.
        after: The same later.
        part: Of all.
    """
    bounds = sorted((float(labels.split('le="')[1].split('"')[0]), labels) for labels in after)
    if not bounds:
        return 0.0
    counts = [(bound, after[labels] - before.get(labels, 0.0)) for bound, labels in bounds]
    total = counts[-1][1]
    return next((bound for bound, count in counts if total and count >= part * total), 0.0)
