"""Which triggers are kept up, on which series, and which of them go when there is no room for another.

Room is bounded twice: by `max_triggers`, and by `memory_limit`. What a series takes is reckoned beforehand: its history
at 4.1 bytes a sample, and beside it what a model and all around it takes at most; so the bound holds before the memory
is used, not after. Eight days of minutes, and what is looked back on, come to 127 KiB, and to 138 where models see
further than a quarter of an hour.

When either is full, triggers that were not called for longest go first, but none that was called within the last
minute: KEDA calls a trigger in use every 15 to 30 s, and if all are in use, letting go of one for another would do no
more than have them take turns.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from scaler.engine.history import bytes_held
from scaler.errors import LimitReached
from scaler.in_use import IN_USE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scaler.engine.state import SeriesState, TriggerState
    from scaler.settings import Settings

__all__ = ["Roster", "bytes_of"]

_AROUND = 76 * 1024
"""Bytes beside the history: a model (50 KiB of the dearest), its forecast, snapshot, gate, query, tasks. Measured."""

_FAR, _MORE = 900.0, 11 * 1024
"""A model that sees further than so many seconds has trees for that, too: so many bytes more of the dearest."""


def bytes_of(samples: int, *, beside: int = 0, ahead: float = 0.0) -> int:
    """What one series takes in memory, reckoned.

    Args:
        samples: Of its history.
        beside: How many covariates stand beside it, with histories as long.
        ahead: Seconds that its model forecasts.
    """
    return (1 + beside) * bytes_held(samples) + _AROUND + (_MORE if ahead > _FAR else 0)


class Roster:
    """Keeps the lists; opens and closes nothing itself. Used from one event loop.

    Args:
        settings: The bounds.
        monotonic: Seconds that only grow.
    """

    def __init__(self, *, settings: Settings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._series: dict[str, SeriesState] = {}
        self._sizes: dict[str, int] = {}  # series -> bytes
        self._of: OrderedDict[str, SeriesState] = OrderedDict()  # by trigger, the least recently called first
        self._bytes = 0

    @property
    def series(self) -> Sequence[SeriesState]:
        """All that are kept fresh."""
        return tuple(self._series.values())

    @property
    def triggers(self) -> int:
        """How many are kept."""
        return len(self._of)

    @property
    def bytes(self) -> int:
        """Of memory for series, as reckoned."""
        return self._bytes

    def get(self, series_id: str) -> SeriesState | None:
        """The series of this id."""
        return self._series.get(series_id)

    def of(self, trigger_id: str) -> SeriesState | None:
        """The series of a trigger."""
        return self._of.get(trigger_id)

    def holds(self, series: SeriesState) -> bool:
        """Whether it is kept still: work may have been under way for one that was let go of."""
        return self._series.get(series.id) is series

    def called(self, trigger_ids: Iterable[str]) -> None:
        """These triggers are in use; those that are not kept are passed over."""
        now = self._monotonic()
        for trigger_id in trigger_ids:
            series = self._of.get(trigger_id)
            if series is not None:
                series.triggers[trigger_id].called_at = now
                self._of.move_to_end(trigger_id)

    def room_for(self, series_id: str, *, size: int) -> list[str]:
        """The triggers to let go of before another one is added; none if there is room.

        Args:
            series_id: The series of the new one.
            size: What that takes, bytes.

        Raises:
            LimitReached: There is no room, and all that would make some are in use.
        """
        going: dict[str, None] = {}
        if len(self._of) >= self._settings.max_triggers:
            oldest = next(iter(self._of))
            if self._in_use(oldest):
                raise LimitReached.of_triggers(len(self._of))
            going[oldest] = None
        more = max(0, size - self._sizes.get(series_id, 0))
        free = self._settings.memory_limit - self._bytes + self._freed(going)
        passed: set[str] = set()
        for trigger_id, series in self._of.items():
            if more <= free or self._in_use(trigger_id):
                break
            passed.add(trigger_id)
            if series.id != series_id and passed.issuperset(series.triggers):  # it is as old as its youngest call
                going |= dict.fromkeys(series.triggers)
                free = self._settings.memory_limit - self._bytes + self._freed(going)
        if more > free:
            raise LimitReached.of_memory(limit=self._settings.memory_limit, taken=self._bytes, wanted=more)
        return list(going)

    def _in_use(self, trigger_id: str) -> bool:
        return self._monotonic() - self._of[trigger_id].triggers[trigger_id].called_at <= IN_USE

    def _freed(self, going: Iterable[str]) -> int:
        """Bytes of the series that only these triggers use."""
        names = set(going)
        concerned = {self._of[name].id: self._of[name] for name in names}
        return sum(self._sizes[series.id] for series in concerned.values() if names.issuperset(series.triggers))

    def add(self, series: SeriesState, trigger: TriggerState, *, size: int) -> None:
        """Takes up a trigger, and its series if that is new; a series takes the most that any trigger of it wants."""
        before = self._sizes.get(series.id, 0)
        self._bytes += max(0, size - before)
        self._sizes[series.id] = max(size, before)
        self._series[series.id] = series
        series.triggers[trigger.config.key.id] = trigger
        self._of[trigger.config.key.id] = series

    def idle(self) -> list[str]:
        """The triggers that nobody has called for `idle_after`."""
        now, found = self._monotonic(), []
        for trigger_id, series in self._of.items():
            if now - series.triggers[trigger_id].called_at <= self._settings.idle_after:
                break
            found.append(trigger_id)
        return found

    def remove(self, trigger_ids: Iterable[str]) -> tuple[list[TriggerState], list[SeriesState]]:
        """Lets go of triggers; them, and the series that nobody uses any more."""
        gone, empty = [], []
        for trigger_id in trigger_ids:
            series = self._of.pop(trigger_id)
            gone.append(series.triggers.pop(trigger_id))
            if not series.triggers:
                empty.append(self._series.pop(series.id))
                self._bytes -= self._sizes.pop(series.id)
        return gone, empty
