"""Turns come one at a time, in order, with rests that leave a share of the time to others."""

from __future__ import annotations

import asyncio

import pytest

from scaler.engine.turns import Turns


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.cpu = 1.0
        self.slept: list[float] = []
        self.held: asyncio.Event | None = None

    def work(self, seconds: float) -> None:
        self.now += 3 * seconds  # others are at work, too
        self.cpu += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.held is not None:
            await self.held.wait()
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def turns(time: Time, share: float) -> Turns:
    return Turns(share=share, monotonic=lambda: time.now, spent=lambda: time.cpu, sleep=time.sleep)


async def test_one_at_a_time_in_the_order_of_asking(time: Time) -> None:
    theirs, log = turns(time, 1.0), []

    async def work(name: str) -> None:
        async with theirs:
            log.append(f"{name} begins")
            await asyncio.sleep(0)
            log.append(f"{name} ends")

    await asyncio.gather(*(work(name) for name in "abc"))
    assert log == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]


async def test_after_a_turn_the_next_waits_until_the_share_is_kept(time: Time) -> None:
    theirs = turns(time, 0.25)
    for _ in range(3):
        async with theirs:
            time.work(2.0)
    assert time.slept == [6.0, 6.0]  # 2 s of CPU, then three times as long without


async def test_nobody_waits_for_a_rest_that_is_over(time: Time) -> None:
    theirs = turns(time, 0.5)
    async with theirs:
        time.work(2.0)
    time.now += 2.0
    async with theirs:
        pass
    assert time.slept == []


async def test_one_that_gives_up_while_it_waits_holds_up_nobody(time: Time) -> None:
    theirs = turns(time, 0.5)
    async with theirs:
        time.work(2.0)
    time.held = asyncio.Event()
    entering = asyncio.create_task(theirs.__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    time.held = None
    async with theirs:
        pass
    assert time.slept == [2.0, 2.0]


async def test_a_turn_that_fails_ends_too(time: Time) -> None:
    theirs = turns(time, 1.0)
    with pytest.raises(ZeroDivisionError):
        async with theirs:
            raise ZeroDivisionError
    async with theirs:
        pass


async def test_a_turn_gives_way_before_it_begins_and_is_not_charged_for_that(time: Time) -> None:
    async def give_way() -> None:
        time.work(5.0)

    theirs = Turns(share=0.5, give_way=give_way, monotonic=lambda: time.now, spent=lambda: time.cpu, sleep=time.sleep)
    for _ in range(2):
        async with theirs:
            time.work(2.0)
    assert time.slept == [2.0]
