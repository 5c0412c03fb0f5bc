"""The metrics page as one reader may see it: the samples of its namespaces, and nothing of the server's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["of_namespaces"]

# `namespace` is the first label of every metric that has it; its values are names as Kubernetes has them
_OF_ONE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{namespace="([a-z0-9.-]+)"[,}]')


def of_namespaces(page: bytes, sees: Callable[[str], bool]) -> bytes:
    """The page without what is not of these namespaces.

    Args:
        page: In Prometheus' text format, as `scaler.telemetry.edge.MetricsPage` makes it.
        sees: Whether a namespace may be read.
    """
    kept: list[str] = []
    told: dict[str, list[str]] = {}  # metric -> its HELP and TYPE, until its first sample is kept
    for line in page.decode().splitlines():
        if line.startswith("# "):
            told.setdefault(line.split(" ", 3)[2], []).append(line)
            continue
        match = _OF_ONE.match(line)
        if match is not None and sees(match[2]):
            kept += told.pop(match[1], [])
            kept.append(line)
    return "".join(f"{line}\n" for line in kept).encode()
