"""When a trigger counts as in use: the edge and the engine make room by the same rule."""

from __future__ import annotations

__all__ = ["IN_USE"]

IN_USE = 60.0
"""Seconds after a call in which a trigger does not make room for another: KEDA calls every 15 to 30 s."""
