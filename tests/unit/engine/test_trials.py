"""Fits put to the test on what came after them: how forecasts are read, the same in every replica."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.engine.alignment import lives_tested
from scaler.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.engine.conftest import Workbench

HOUR, DAY = 3600, 86400
TRIGGER = {"quantile": "0.9", "forecaster": "seasonal-profile", "queryStep": "5m", "historyTimeWindow": "3d"}


def rough(start: float) -> Callable[[float], float]:
    """A daily cycle with noise that doubles two days before the start: bands from before are too narrow."""

    def load(time: float) -> float:
        noise = math.sin(time * 0.7) + math.sin(time * 1.3) + math.sin(time * 0.011)
        level = 100.0 + 50.0 * math.sin(2 * math.pi * time / DAY)
        return level + (10.0 if time > start - 2 * DAY else 5.0) * noise

    return load


async def up(bench: Workbench, trigger: str, *, since: float, until: float) -> None:
    """Lets the engine run, its trigger being called."""
    while since < until:
        since = min(until, since + 200.0)
        bench.engine.called([trigger])
        await bench.at(since)


async def test_an_engine_that_was_just_started_makes_up_for_the_tests_it_has_missed(
    make_workbench: Callable[..., Workbench], start: int
) -> None:
    bench = make_workbench()
    bench.source.load = rough(start)
    trigger = bench.register(**TRIGGER)
    await bench.engine.settle()
    (series,) = bench.engine.series
    (model,) = series.models.values()
    assert sorted(model.lives) == [model.trained - 12 * HOUR, model.trained - 6 * HOUR]
    assert [len(request.values) // 8 for request in bench.fits.of_the_past] == [3 * 288 + 1 + 72] * 2
    assert {len(ranks) // 2 for ranks in model.lives.values()} == {72 - 2}  # the last window, of 405 s, is not over
    outlook = bench.snapshot(trigger).outlook
    assert outlook is not None
    assert outlook.level is not None
    assert outlook.level != outlook.quantile == 0.9

    again = make_workbench()
    again.source.load = rough(start)
    again.register(**TRIGGER)
    await again.engine.settle()
    assert (again.fits.requests, again.fits.of_the_past) == ([], [])
    assert again.snapshot(trigger).outlook == outlook


@pytest.mark.parametrize("forecaster", ["seasonal-profile", "ets"])
async def test_a_replica_that_was_up_for_long_agrees_with_one_that_was_not(
    make_workbench: Callable[..., Workbench], start: int, forecaster: str
) -> None:
    given = TRIGGER | {"forecaster": forecaster}
    long = make_workbench(refit_every=2.0 * HOUR, observe_interval=300.0)
    long.source.load = rough(start)
    trigger = long.register(**given)
    await long.engine.settle()
    assert len(long.fits.of_the_past) == lives_tested(longest=24, step=300) == 4
    await up(long, trigger, since=start, until=start + 9.5 * HOUR)
    assert len(long.fits.of_the_past) == 4  # each fit has tested the one before it
    assert len(long.fits.requests) in (5, 6)

    fresh = make_workbench(refit_every=2.0 * HOUR, observe_interval=300.0)
    fresh.persistence._store = SqliteStore(None)  # another replica has another store
    fresh.source.load = rough(start)
    fresh.clock.now = start + 8.0 * HOUR
    fresh.register(**given)
    await fresh.engine.settle()
    await up(fresh, trigger, since=fresh.clock.now, until=start + 9.5 * HOUR)

    (one,), (other,) = long.engine.series, fresh.engine.series
    (model,), (its_twin,) = one.models.values(), other.models.values()
    assert (model.trained, model.lives) == (its_twin.trained, its_twin.lives)
    outlooks = [bench.snapshot(trigger).outlook for bench in (long, fresh)]
    assert outlooks[0] is not None
    assert outlooks[1] is not None
    assert outlooks[0].peak == outlooks[1].peak
    assert outlooks[0].level == outlooks[1].level != 0.9
    assert np.frombuffer(model.lives[min(model.lives)], dtype="<u2").max() > 0


async def test_a_test_that_does_not_come_back_teaches_nothing_and_is_not_tried_again(
    bench: Workbench, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.source.load = rough(start)
    trigger = bench.register(**TRIGGER)
    fit = bench.fits._fit

    def lose_the_past(request: object) -> object:
        bench.fits.lost = {"seasonal-profile": "it hangs"} if request.tested and not request.known else {}  # type: ignore[attr-defined]  # a FitRequest
        return fit(request)  # type: ignore[arg-type]  # as above

    monkeypatch.setattr(bench.fits, "_fit", lose_the_past)
    await bench.engine.settle()
    outlook = bench.snapshot(trigger).outlook
    assert outlook is not None
    assert (outlook.level, outlook.forecaster) == (0.9, "seasonal-profile")
    (series,) = bench.engine.series
    (model,) = series.models.values()
    assert set(model.lives.values()) == {b""}
    await bench.at(start + 600)
    assert len(bench.fits.of_the_past) == 2
