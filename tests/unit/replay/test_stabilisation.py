"""The memory of recommendations against its rule, told slot by slot."""

from __future__ import annotations

import random

import pytest

from scaler.replay.stabilisation import Recommendations


class Slots:
    """A new recommendation takes the place of the last one that has expired."""

    def __init__(self, now: float, size: int) -> None:
        self.slots = [(now, size)]

    def highest(self, now: float, proposed: int, window: float) -> int:
        highest = max([proposed, *(size for time, size in self.slots if time > now - window)])
        self.remember(now, proposed, now - window)
        return highest

    def held(self, now: float, proposed: int, replicas: int, up: float, down: float) -> int:
        lowest = min([proposed, *(size for time, size in self.slots if time > now - up)])
        highest = max([proposed, *(size for time, size in self.slots if time > now - down)])
        self.remember(now, proposed, min(now - up, now - down))
        return min(max(replicas, lowest), highest)

    def remember(self, now: float, proposed: int, cutoff: float) -> None:
        expired = [slot for slot, (time, _) in enumerate(self.slots) if time <= cutoff]
        if expired:
            self.slots[expired[-1]] = (now, proposed)
        else:
            self.slots.append((now, proposed))


@pytest.mark.parametrize("seed", range(20))
def test_the_memory_is_that_of_slots(seed: int) -> None:
    drawn = random.Random(seed)  # noqa: S311  # the same draws in every run, and no secrets
    memory, slots, now = Recommendations(0.0, 5), Slots(0.0, 5), 0.0
    edits = drawn.choice((0.0, 0.05))  # the HPA gets a `behavior`, or loses it
    legacy, window = True, drawn.choice((60, 300))
    for _ in range(400):
        now += drawn.choice((0, 15, 15, 15, 15, 15, 600 if drawn.random() < 0.1 else 15))  # at times an outage
        legacy = legacy is not (drawn.random() < edits)
        proposed, replicas = drawn.randint(0, 30), drawn.randint(1, 30)
        if legacy:
            assert memory.highest(now, proposed, window) == slots.highest(now, proposed, window)
        else:
            up, down = drawn.choice(((0, 300), (30, 60), (900, 0)))
            assert memory.held(now, proposed, replicas, up, down) == slots.held(now, proposed, replicas, up, down)
