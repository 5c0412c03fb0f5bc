"""Pasts are read by the batch: bounded, in order, and one that fails or is given up is nobody else's trouble."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from scaler.engine.precedence import Precedence
from scaler.engine.recalls import Recalls
from scaler.errors import StoreError

if TYPE_CHECKING:
    from scaler.engine.state import SeriesState


class Shelf:
    """Gives each past when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Future[None]] = {}

    async def read(self, series: SeriesState) -> None:
        name = cast("Any", series)
        self.begun.append(name)
        self.gates[name] = asyncio.get_running_loop().create_future()
        await self.gates[name]

    def give(self, *names: str) -> None:
        for name in names:
            self.gates[name].set_result(None)


def reading(shelf: Shelf, at_once: int = 50) -> Recalls:
    return Recalls(shelf.read, give_way=partial(Precedence().give_way, 0.0), at_once=at_once)


async def turn() -> None:
    """Lets all that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


def asking(recalls: Recalls, names: str) -> dict[str, asyncio.Task[None]]:
    return {name: asyncio.create_task(recalls.recall(cast("Any", name))) for name in names}


async def test_the_next_batch_is_begun_when_the_one_before_is_read() -> None:
    shelf = Shelf()
    tasks = asking(reading(shelf, at_once=2), "abcde")
    await turn()
    assert shelf.begun == ["a", "b"]
    shelf.give("a")
    await turn()
    assert (shelf.begun, tasks["a"].done()) == (["a", "b"], True)
    shelf.give("b")
    await turn()
    assert shelf.begun == ["a", "b", "c", "d"]
    shelf.give("c", "d")
    await turn()
    shelf.give("e")
    await asyncio.gather(*tasks.values())


async def test_what_fails_fails_alone_and_what_comes_later_is_read() -> None:
    shelf = Shelf()
    recalls = reading(shelf)
    tasks = asking(recalls, "ab")
    await turn()
    shelf.gates["a"].set_exception(StoreError("a block of 3 bytes"))
    await turn()
    shelf.give("b")
    await tasks["b"]
    with pytest.raises(StoreError, match="a block of 3 bytes"):
        await tasks["a"]
    later = asking(recalls, "c")
    await turn()
    shelf.give("c")
    await later["c"]


async def test_what_nobody_waits_for_any_more_is_not_read() -> None:
    shelf = Shelf()
    tasks = asking(reading(shelf, at_once=1), "abc")
    await turn()
    tasks["b"].cancel()
    await turn()
    shelf.give("a")
    await turn()
    assert shelf.begun == ["a", "c"]
    tasks["c"].cancel()  # being read: it is read to its end
    await turn()
    shelf.give("c")
    await turn()


async def test_closing_ends_all_of_it() -> None:
    shelf = Shelf()
    recalls = reading(shelf, at_once=1)
    tasks = asking(recalls, "ab")
    await turn()
    await recalls.close()
    outcomes = await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert [type(one) for one in outcomes] == [asyncio.CancelledError] * 2


async def test_a_batch_gives_way_to_first_looks() -> None:
    shelf, precedence = Shelf(), Precedence()
    recalls = Recalls(shelf.read, give_way=partial(precedence.give_way, 1e9), at_once=1)
    with precedence.first():
        with precedence.first():
            tasks = asking(recalls, "a")
            await turn()
        await turn()
        assert shelf.begun == []  # one of two is under way still
    await turn()
    assert shelf.begun == ["a"]
    shelf.give("a")
    await tasks["a"]


async def test_first_looks_that_do_not_end_hold_nothing_up_for_long() -> None:
    shelf, precedence = Shelf(), Precedence()
    recalls = Recalls(shelf.read, give_way=partial(precedence.give_way, 0.0))
    with precedence.first():
        tasks = asking(recalls, "a")
        await turn()
        shelf.give("a")
        await tasks["a"]
