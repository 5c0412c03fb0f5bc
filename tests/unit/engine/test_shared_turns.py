"""Whose turn it is has the forecasts of some that wait made beside its own, and never twice."""

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
        self.turns: Any = SharedTurns(Turns(share=1.0), self.forecast, most=most)

    def forecast(self, *series: Any) -> None:
        self.made.append("".join(one.id for one in series))
        if self.made[-1] == self.breaks:
            raise RuntimeError("broken")

    async def step(self, name: str) -> None:
        async with self.turns.of(Series(name)):
            self.log.append(name)
            await asyncio.sleep(0)


@pytest.mark.parametrize(("most", "made"), [(1, ["a", "b", "c", "d", "e"]), (2, ["a", "bc", "de"]), (9, ["a", "bcde"])])
async def test_those_that_wait_are_forecast_in_company_and_each_has_its_turn(most: int, made: list[str]) -> None:
    bench = Bench(most)  # the first finds nobody waiting
    await asyncio.gather(*(bench.step(name) for name in "abcde"))
    assert bench.made == made
    assert bench.log == list("abcde")


async def test_one_that_has_gone_is_not_forecast() -> None:
    bench = Bench(3)
    tasks = [asyncio.create_task(bench.step(name)) for name in "abc"]
    async with bench.turns.of(Series("first")):
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert bench.made == ["first", "ac"]


async def test_a_series_that_comes_back_is_forecast_again() -> None:
    bench = Bench(3)
    await asyncio.gather(*(bench.step(name) for name in "abc"))
    await asyncio.gather(*(bench.step(name) for name in "bac"))
    assert bench.made == ["a", "bc", "b", "ac"]


async def test_a_forecast_that_breaks_ends_its_turn_and_no_other() -> None:
    bench = Bench(1, breaks="a")
    found = await asyncio.gather(*(bench.step(name) for name in "abc"), return_exceptions=True)
    assert [type(one).__name__ for one in found] == ["RuntimeError", "NoneType", "NoneType"]
    assert bench.log == ["b", "c"]
