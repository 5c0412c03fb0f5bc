"""One log line where there would be ten thousand alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Throttle"]

_KINDS = 1000  # remembered; a text that is never the same twice must not fill the memory


class Throttle:
    """Lets the first of each kind through, then one per period, with the number held back."""

    def __init__(self, *, every: float, monotonic: Callable[[], float]) -> None:
        """Args:
        every: Seconds between two of one kind.
        monotonic: Seconds that only grow.
        """
        self._every = every
        self._monotonic = monotonic
        self._last: dict[str, tuple[float, int]] = {}  # kind -> when let through, how many held back since

    def due(self, kind: str) -> int | None:
        """How many of this kind were held back since the last one; None: hold this one back, too."""
        now = self._monotonic()
        let_through, held = self._last.get(kind, (-float("inf"), 0))
        if now - let_through < self._every:
            self._last[kind] = (let_through, held + 1)
            return None
        self._last.pop(kind, None)  # to the end: the first is the longest unseen
        self._last[kind] = (now, 0)
        if len(self._last) > _KINDS:
            del self._last[next(iter(self._last))]
        return held
