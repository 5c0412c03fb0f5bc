"""What changed in the answers, noted while answering, for the engine to keep.

Noting costs a call one comparison. What was noted waits in memory, bounded, until the edge's loop has a moment to give
it to the engine; nothing here does I/O.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from scaler.decision.change import Change, differs, same_words
from scaler.telemetry.log import get_logger
from scaler.telemetry.masking import mask

if TYPE_CHECKING:
    from scaler.decision import Decision, DecisionPolicy, Outlook

__all__ = ["Journal"]

log = get_logger(__name__)

_Answer: TypeAlias = "Decision | str"  # what was decided, or the text of the error
_Noted: TypeAlias = "tuple[str, float, _Answer, DecisionPolicy, Outlook | None]"

_APART = 5.0
"""Seconds between two notes of one trigger: of what changes faster, the state at each of these moments is kept."""


class Journal:
    """The last answer noted of each trigger, and the notes that the engine has not had yet."""

    def __init__(self, *, most_waiting: int) -> None:
        """Args:
        most_waiting: Notes kept in memory, the newest; 0: nothing is noted at all.
        """
        self._last: dict[str, tuple[float, _Answer]] = {}
        self._waiting: deque[_Noted] = deque(maxlen=most_waiting)
        self._on = most_waiting > 0
        self._lost = 0

    def decided(
        self, trigger_id: str, decision: Decision, policy: DecisionPolicy, outlook: Outlook | None, *, at: float
    ) -> None:
        """Notes the decision if it differs from the last one noted."""
        last = self._last.get(trigger_id)
        if last is not None:
            noted_at, before = last
            if 0.0 <= at - noted_at < _APART or not (
                isinstance(before, str) or differs(decision, before, threshold=policy.threshold)
            ):
                return
        self._note(trigger_id, at, decision, policy, outlook)

    def failed(self, trigger_id: str, text: str, policy: DecisionPolicy, *, at: float) -> None:
        """Notes an error if it says something else than the last answer."""
        last = self._last.get(trigger_id)
        if last is not None:
            noted_at, before = last
            if 0.0 <= at - noted_at < _APART or (isinstance(before, str) and same_words(text, before)):
                return
        self._note(trigger_id, at, text, policy, None)

    def _note(
        self, trigger_id: str, at: float, answer: _Answer, policy: DecisionPolicy, outlook: Outlook | None
    ) -> None:
        if not self._on:
            return
        self._last[trigger_id] = at, answer
        self._lost += len(self._waiting) == self._waiting.maxlen
        self._waiting.append((trigger_id, at, answer, policy, outlook))

    def forget(self, trigger_id: str) -> None:
        """The trigger is not in use any more."""
        self._last.pop(trigger_id, None)

    def take(self, most: int = 1000) -> list[tuple[str, Change]]:
        """The oldest notes that wait, each with its trigger; they are the caller's now.

        Args:
            most: So many: the loop has other things to do.
        """
        if self._lost:
            log.warning("decisions.lost", count=self._lost)
            self._lost = 0
        count = min(most, len(self._waiting))
        return [self._change(*self._waiting.popleft()) for _ in range(count)]

    @staticmethod
    def _change(
        trigger_id: str, at: float, answer: _Answer, policy: DecisionPolicy, outlook: Outlook | None
    ) -> tuple[str, Change]:
        if isinstance(answer, str):
            return trigger_id, Change.failed(mask(answer), at=at)
        return trigger_id, Change.of(answer, policy, outlook, at=at)
