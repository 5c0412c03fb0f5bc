"""Announced events in the engine: in snapshots ahead of time, out of what is learned."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.decision import DecisionPolicy, Source, decide

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.decision import Decision, Snapshot
    from tests.unit.engine.conftest import Workbench


def iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()


async def test_a_launch_from_the_metadata_to_the_decision_and_out_of_training(
    make_workbench: Callable[..., Workbench], start: int
) -> None:
    bench = make_workbench(idle_after=86_400.0, refit_every=1800.0)
    launch = start + 3600
    bench.source.load = lambda time: 100.0 if time <= launch else 310.0
    trigger = bench.register(events=f"launch: at {iso(launch)} for 10m factor 3", historyTimeWindow="3h")
    await bench.engine.settle()
    policy = DecisionPolicy(threshold=10.0, lead_time=180.0, asking_delay=45.0, headroom=1.0)

    async def at(now: float) -> tuple[Decision, Snapshot]:
        await bench.at(now)
        snapshot = bench.snapshot(trigger)
        return decide(snapshot, policy, now=now), snapshot

    decision, snapshot = await at(launch - 300.0)
    assert (decision.value, decision.asked, len(snapshot.events)) == (100.0, 0.0, 1)
    decision, _ = await at(launch - 225.0)
    assert (decision.value, decision.source) == (300.0, Source.EVENT)
    decision, snapshot = await at(launch + 300.0)
    assert snapshot.events[0].base == pytest.approx(310.0 / 3)
    assert decision.asked == pytest.approx(310.0)  # it has come: not three times the load of the launch
    decision, _ = await at(launch + 600.0)
    assert decision.asked == 0.0
    bench.source.load = lambda _: 100.0
    await bench.at(launch + 4000.0)
    newest = bench.fits.requests[-1]
    learned = TimeSeries(newest.start, newest.step, np.frombuffer(newest.values, "<f8"))
    assert learned.end > launch + 700
    assert np.isnan(learned.values[learned.times() > launch][:10]).all()
    assert not (learned.values == 310.0).any()
