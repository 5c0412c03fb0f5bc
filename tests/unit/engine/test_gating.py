"""The gate inside the engine: fed at every step, shown, obeyed, and kept over a restart."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from scaler.decision import DecisionPolicy, decide
from scaler.decision.gate import GateState, Standing
from scaler.engine.fits import Priority
from scaler.engine.gating import Gating, is_gate_record
from scaler.engine.state import TriggerState
from scaler.policy import policy_of
from scaler.store.sqlite import SqliteStore
from scaler.trigger import parse_trigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from scaler.engine.persistence import Persistence
    from tests.unit.engine.conftest import Workbench

HOUR = 3600
TRIGGER = {"forecaster": "seasonal-naive", "queryStep": "5m", "historyTimeWindow": "4d"}
DECIDING = {"serverAddress": "http://prometheus:9090", "query": "q", "threshold": "10"}


def fallen(start: float) -> Callable[[float], float]:
    """A daily cycle that is down to a fifth from two hours after the start on."""

    def load(time: float) -> float:
        level = 100.0 + 50.0 * math.sin(2 * math.pi * (time - start) / 86400)
        return level if time < start + 2 * HOUR else level / 5.0

    return load


async def test_a_forecast_that_costs_is_shown_and_not_served(bench: Workbench, start: int) -> None:
    bench.source.load = fallen(start)
    trigger = bench.register(**TRIGGER)
    await bench.engine.settle()
    await bench.at(start + 1.5 * HOUR)
    young = bench.snapshot(trigger).outlook
    assert young is not None
    assert (young.trusted, young.gain) == (True, None)
    assert young.verdict.startswith("the forecast is on probation and takes part: ")

    await bench.at(start + 8 * HOUR)
    shown = bench.snapshot(trigger)
    assert shown.outlook is not None
    assert not shown.outlook.trusted
    assert shown.outlook.gain is not None
    assert shown.outlook.gain < -0.3
    assert shown.outlook.verdict.startswith("the gate has demoted the forecast: ")
    config = parse_trigger(namespace="shop", name="web", metadata=DECIDING | TRIGGER)
    policy = policy_of(config, bench.settings)
    decision = decide(shown, policy, now=bench.clock.now)
    assert decision.value == policy.headroom * decision.observed
    assert decision.forecast is not None
    assert decision.forecast > 2 * decision.value
    assert decision.hindrance == shown.outlook.verdict


async def test_a_demoted_forecasts_model_is_fitted_before_those_that_are_merely_old(
    make_workbench: Callable[..., Workbench], start: int
) -> None:
    bench = make_workbench(idle_after=86400.0)
    bench.source.load = fallen(start)
    trigger = bench.register(**TRIGGER)
    sound = bench.register("sound", **TRIGGER | {"forecaster": "naive"})
    await bench.engine.settle()
    assert set(bench.fits.priorities) == {Priority.NEW, Priority.PAST}
    await bench.at(start + 8 * HOUR)
    (series,) = bench.engine.series
    assert (series.triggers[trigger].drifted, series.triggers[sound].drifted) == (True, False)
    bench.fits.priorities.clear()
    await bench.at(start + 14 * HOUR)
    assert sorted(bench.fits.priorities) == [Priority.DRIFTED, Priority.STALE]


async def test_a_restart_goes_on_with_the_verdict(
    make_workbench: Callable[..., Workbench], start: int, store_path: Path
) -> None:
    first = make_workbench()
    first.source.load = fallen(start)
    trigger = first.register(**TRIGGER)
    await first.engine.settle()
    await first.at(start + 8 * HOUR)
    before = first.snapshot(trigger).outlook
    assert before is not None
    await first.persistence.flush(now=first.clock.now)

    second = make_workbench()
    second.clock.now = first.clock.now + 60.0
    second.source.load = fallen(start)
    await second.engine.warm_start()
    second.register(**TRIGGER)
    await second.engine.settle()
    after = second.snapshot(trigger).outlook
    assert after is not None
    assert not after.trusted
    assert after.gain is not None
    assert after.gain < 0.0
    assert len(second.published) > 1
    store = SqliteStore(store_path)
    kept = [name for name, _ in store.snapshots() if is_gate_record(name)]
    store.close()
    assert kept == [f"gate:{trigger}"]


async def test_a_record_of_another_version_is_passed_over(make_workbench: Callable[..., Workbench], start: int) -> None:
    first = make_workbench()
    trigger = first.register(**TRIGGER)
    await first.engine.settle()
    first.persistence.add_snapshot(f"gate:{trigger}", b"\xc1")
    await first.persistence.flush(now=float(start))
    second = make_workbench()
    await second.engine.warm_start()
    second.register(**TRIGGER)
    await second.engine.settle()
    (series,) = second.engine.series
    assert series.triggers[trigger].gate.standing is Standing.PROBATION


async def test_a_gap_in_the_source_is_no_evidence(bench: Workbench, start: int) -> None:
    hole = (start + HOUR, start + 2 * HOUR)

    def load(time: float) -> float:
        return math.nan if hole[0] <= time < hole[1] else 100.0

    trigger = bench.register(**TRIGGER)
    bench.source.load = load
    await bench.engine.settle()
    await bench.at(start + 4 * HOUR)
    (series,) = bench.engine.series
    gate: GateState = series.triggers[trigger].gate
    assert start + HOUR not in [hour.start for hour in gate.hours]
    assert sum(hour.resolved for hour in gate.hours) > 20


async def test_an_announced_event_is_no_evidence(bench: Workbench, start: int) -> None:
    begun = start + HOUR

    def load(time: float) -> float:
        return 20.0 if begun < time <= begun + 6 * HOUR else 100.0  # at a fifth: far below every forecast

    bench.source.load = load
    stated = f"maintenance: at {datetime.fromtimestamp(begun, UTC).isoformat()} for 6h floor 10"
    blamed, excused = bench.register("blamed", **TRIGGER), bench.register("excused", events=stated, **TRIGGER)
    await bench.engine.settle()
    bench.engine.called([blamed, excused])
    for quarter in range(20):
        await bench.at(start + 900.0 * quarter)
        bench.engine.called([blamed, excused])
    (series,) = bench.engine.series
    during = [hour.start for hour in series.triggers[excused].gate.hours if hour.start > begun]
    assert during == []
    assert len([hour for hour in series.triggers[blamed].gate.hours if hour.start > begun]) >= 3


async def test_a_trigger_that_comes_back_goes_on_where_it_was(bench: Workbench, start: int) -> None:
    bench.source.load = fallen(start)
    trigger = bench.register(**TRIGGER)
    await bench.engine.settle()
    for quarter in range(1, 33):
        bench.engine.called([trigger])
        await bench.at(start + 900.0 * quarter)
    (series,) = bench.engine.series
    gate = series.triggers[trigger].gate
    assert gate.standing is Standing.DEMOTED
    bench.engine.housekeep()
    await bench.at(bench.clock.now + HOUR)
    assert bench.engine.trigger_count == 0
    bench.register(**TRIGGER)
    await bench.engine.settle()
    (series,) = bench.engine.series
    back = series.triggers[trigger]
    assert set(gate.hours[1:-1]) <= set(back.gate.hours)
    assert (back.gate.standing, back.judgement.trusted) == (Standing.DEMOTED, False)


async def test_an_orderly_end_loses_no_evidence(make_workbench: Callable[..., Workbench], start: int) -> None:
    first = make_workbench()
    trigger = first.register(**TRIGGER)
    await first.engine.settle()
    await first.at(start + 2.4 * HOUR)
    (series,) = first.engine.series
    gate = series.triggers[trigger].gate
    first.engine.keep()
    await first.persistence.flush(now=first.clock.now)
    second = make_workbench()
    second.clock.now = first.clock.now
    await second.engine.warm_start()
    second.register(**TRIGGER)
    assert second.engine._roster._of[trigger].triggers[trigger].gate == gate


def test_what_is_kept_at_hand_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaler.engine.gating._MOST_AT_HAND", 2)
    written: list[str] = []
    persistence = cast("Persistence", SimpleNamespace(add_snapshot=lambda name, _: written.append(name)))
    gating = Gating(persistence=persistence, policy_of=lambda _: DecisionPolicy(threshold=1.0))
    for name in "abcd":
        config = parse_trigger(namespace="shop", name=name, metadata=DECIDING)
        gating.keep(TriggerState(config=config, called_at=0.0, gate=GateState(since=60)))
        gating.keep(TriggerState(config=config, called_at=0.0))  # nothing to keep
    assert len(written) == 4
    assert list(gating._stored) == written[2:]
