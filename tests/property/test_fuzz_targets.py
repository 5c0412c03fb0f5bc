"""Every kind of input from outside, mangled: cut, doubled, with bits turned and pieces swapped, or no good at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable

_SLOW = {"store": 15, "compressed": 25, "answer": 40, "exposition": 40}  # examples, where one takes long


@st.composite
def mangled(draw: st.DrawFn, examples: tuple[bytes, ...]) -> bytes:
    data = bytearray(draw(st.sampled_from(examples)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(0, 16))
        what = draw(st.sampled_from(["cut", "insert", "flip", "double", "end"]))
        if what == "cut":
            del data[at : at + length]
        elif what == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        elif what == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "double":
            data[at:at] = data[at : at + length]
        elif what == "end":
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_does_more_than_it_may(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=_SLOW.get(name, 80), suppress_health_check=list(HealthCheck))
    @given(mangled(target.examples) | st.binary(max_size=200))
    def feed(data: bytes) -> None:
        target.feed(data)

    run: Callable[[], None] = feed
    run()


@pytest.mark.parametrize("name", TARGETS)
def test_good_examples_are_good(name: str) -> None:
    for example in TARGETS[name].examples:
        TARGETS[name].feed(example)
