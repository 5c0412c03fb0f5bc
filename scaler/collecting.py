"""How often Python looks for cycles of garbage: seldom, for it stops the process to look.

A look through all objects of an engine with ten thousand series takes a third of a second, and Python would take one
whenever a quarter as many objects are new: with forecasts replaced every minute, every half minute. Nearly all garbage
goes without that look, by counts of references; what little there is in cycles dies young, and the young are looked
through often. So the old are left alone a thousand times as long: at that size, two hours.
"""

from __future__ import annotations

import gc

__all__ = ["collect_rarely"]

_YOUNG = 5_000  # objects more than at the last look: half a millisecond
_MIDDLE = 10
_OLD = 1_000


def collect_rarely() -> None:
    """For a process that serves: call it once, at its start."""
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
