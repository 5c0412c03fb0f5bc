"""Metadata as it was read, kept by content: KEDA sends the same with every call, and reading takes a while."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from scaler.trigger import TriggerConfig

__all__ = ["Content", "Parsed"]

Content: TypeAlias = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name, metadata."""


class Parsed:
    """A bounded number of them. When it is full, the namespace that has the most gives up its oldest.

    So a namespace whose metadata change all the time takes nothing from the others, nor learns anything of them by how
    long its answers take: content has its namespace in it.

    Args:
        most: How many.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._count = 0
        self._of_namespace: dict[str, OrderedDict[Content, TriggerConfig]] = {}

    def __len__(self) -> int:
        return self._count

    def get(self, content: Content) -> TriggerConfig | None:
        """What was read, if it is kept."""
        own = self._of_namespace.get(content[0])
        return None if own is None else own.get(content)

    def put(self, content: Content, config: TriggerConfig) -> TriggerConfig | None:
        """Keeps it; what was given up for it, if anything was."""
        own = self._of_namespace.setdefault(content[0], OrderedDict())
        self._count += content not in own
        own[content] = config
        if self._count <= self._most:
            return None
        largest = max(self._of_namespace.values(), key=len)
        oldest = next(iter(largest))
        given_up = largest[oldest]
        self.drop(oldest)
        return given_up

    def drop(self, content: Content) -> None:
        """Lets go of it."""
        own = self._of_namespace.get(content[0])
        if own is None or own.pop(content, None) is None:
            return
        self._count -= 1
        if not own:
            del self._of_namespace[content[0]]
