from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from scaler.collecting import collect_rarely

if TYPE_CHECKING:
    from collections.abc import Iterator


class Node:
    def __init__(self) -> None:
        self.other: Node | None = None


@pytest.fixture
def looks() -> Iterator[list[int]]:
    """The generations that Python looks through, as it does."""
    before, seen = gc.get_threshold(), []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)
    gc.set_threshold(*before)


def test_young_cycles_are_found_and_the_old_left_alone(looks: list[int]) -> None:
    collect_rarely()
    gc.collect()
    looks.clear()
    kept: list[list[Node]] = []
    for _ in range(30_000):  # half of it garbage in cycles, half of it kept
        one, two = Node(), Node()
        one.other, two.other = two, one
        kept.append([one] if len(kept) % 2 else [])
    assert looks.count(0) >= 5
    assert 2 not in looks
