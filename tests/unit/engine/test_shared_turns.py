"""Those that wait when a turn begins are forecast in it together, each once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from scaler.engine.shared_turns import SharedTurns
from scaler.engine.turns import Turns


@dataclass
class Series:
    id: str


class Bench:
    def __init__(self, most: int, breaks: str = "") -> None:
        self.breaks = breaks
        self.made: list[str] = []
        self.log: list[str] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.begun = asyncio.Event()
        self.turns: Any = SharedTurns(Turns(share=1.0), self.forecast, most=most)

    async def forecast(self, *series: Any) -> None:
        self.made.append("".join(one.id for one in series))
        self.begun.set()
        await self.goes_on.wait()
        if self.breaks and self.breaks in self.made[-1]:
            raise RuntimeError("broken")

    async def step(self, name: str) -> None:
        await self.turns.forecast(Series(name))
        self.log.append(name)

    def start(self, names: str) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.step(name)) for name in names]


@pytest.mark.parametrize(("most", "made"), [(1, ["a", "b", "c", "d", "e"]), (2, ["ab", "cd", "e"]), (9, ["abcde"])])
async def test_those_that_wait_are_forecast_in_company(most: int, made: list[str]) -> None:
    bench = Bench(most)
    await asyncio.gather(*bench.start("abcde"))
    assert bench.made == made
    assert bench.log == list("abcde")


async def test_who_comes_during_a_turn_has_the_next() -> None:
    bench = Bench(9)
    bench.goes_on.clear()
    tasks = bench.start("ab")
    await bench.begun.wait()
    tasks += bench.start("cad")
    await asyncio.sleep(0)
    bench.goes_on.set()
    await asyncio.gather(*tasks)
    assert bench.made == ["ab", "cad"]
    assert bench.log == list("abcad")


async def test_a_series_that_is_waited_for_twice_is_forecast_once() -> None:
    bench = Bench(3)
    await asyncio.gather(*bench.start("aba"))
    assert bench.made == ["ab"]
    assert bench.log == list("aab")


async def test_one_that_has_gone_is_not_forecast() -> None:
    bench = Bench(3)
    bench.goes_on.clear()
    first = bench.start("x")
    await bench.begun.wait()
    tasks = bench.start("abc")
    await asyncio.sleep(0)
    tasks[1].cancel()
    bench.goes_on.set()
    await asyncio.gather(*first, *tasks, return_exceptions=True)
    assert bench.made == ["x", "ac"]


async def test_one_that_goes_during_its_turn_takes_nothing_from_the_others() -> None:
    bench = Bench(3)
    bench.goes_on.clear()
    tasks = bench.start("abc")
    await bench.begun.wait()
    tasks[0].cancel()
    bench.goes_on.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert bench.made == ["abc"]
    assert bench.log == list("bc")


async def test_a_forecast_that_breaks_is_that_of_one_and_no_others() -> None:
    bench = Bench(3, breaks="b")
    found = await asyncio.gather(*bench.start("abcd"), return_exceptions=True)
    assert [type(one).__name__ for one in found] == ["NoneType", "RuntimeError", "NoneType", "NoneType"]
    assert bench.made == ["abc", "a", "b", "c", "d"]
    assert bench.log == list("acd")


async def test_at_the_end_nobody_goes_on_waiting() -> None:
    bench = Bench(2)
    bench.goes_on.clear()
    tasks = bench.start("abc")
    await bench.begun.wait()
    await bench.turns.close()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one).__name__ for one in found] == ["CancelledError"] * 3
    assert bench.made == ["ab"]
