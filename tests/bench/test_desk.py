"""What an answer costs on the way from a call's metadata to its decision: without and with events and decision log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from scaler.decision import Occurrence, Outlook, Snapshot
from scaler.edge.desk import TriggerDesk
from scaler.engine.messages import Update
from scaler.settings import Settings

if TYPE_CHECKING:
    from scaler.trigger import TriggerConfig

METADATA = {"serverAddress": "http://prometheus:9090", "query": "sum(load)", "threshold": "10", "leadTime": "3m"}
PAIRS = 300
ROUNDS = 300  # short ones: the machine has other work, the least is what it costs
NOW = 1_700_000_000.0


class Bench:
    """A desk with one trigger; its time moves on with each poll, so that each is decided anew."""

    def __init__(self, *, decision_log: int, events: int, noisy: bool) -> None:
        self.now = NOW
        self._noisy = noisy
        self.desk = TriggerDesk(
            settings=Settings(decision_log=decision_log),
            tell=lambda _: None,
            clock=lambda: self.now,
            monotonic=lambda: self.now,
        )
        self.trigger: TriggerConfig = self.desk.trigger("shop", "web", METADATA)
        self.desk._open(self.trigger)
        launch = Occurrence(NOW - 100.0, NOW + 1e9, 2.0, 0.0, "launch", "later", 50.0)
        self.snapshots = [
            Snapshot(
                trigger=self.trigger.key.id,
                series="s",
                made_at=NOW,
                observed=observed,
                observed_at=NOW + 1e9,
                outlook=Outlook(
                    origin=int(NOW + 1e9),  # for ever fresh
                    step=60,
                    forecaster="auto",
                    quantile=0.9,
                    peak=tuple(100.0 + n for n in range(8)),
                    fitted_at=NOW,
                    highest=200.0,
                ),
                events=(launch,) * events,
            )
            for observed in (50.0, 150.0)
        ]
        self.desk.apply(Update(self.snapshots[:1]))

    def microseconds(self) -> float:
        """Of CPU for GetMetrics and the IsActive that follows it; the least of several rounds."""
        best = float("inf")
        entry = next(iter(self.desk.entries()))
        for _ in range(ROUNDS):
            begin = time.process_time()
            for n in range(PAIRS):
                self.now += 15.0
                entry.snapshot = self.snapshots[n % 2 if self._noisy else 0]
                self.desk.peek(self.desk.trigger("shop", "web", METADATA))
                self.desk.peek(self.desk.trigger("shop", "web", METADATA), follows=True)
            best = min(best, (time.process_time() - begin) / PAIRS * 1e6)
            self.desk.take_changes()
        return best


@pytest.mark.bench
@pytest.mark.timeout(600)
def test_a_poll_without_and_with_events_and_decision_log() -> None:
    print()
    for name, log, events, noisy in (
        ("no events, no decision log", 0, 0, False),
        ("decision log, a steady answer", 1000, 0, False),
        ("decision log, every answer a change", 1000, 0, True),
        ("decision log, four events", 1000, 4, False),
    ):
        bench = Bench(decision_log=log, events=events, noisy=noisy)
        print(f"{name}: {bench.microseconds():.2f} us of CPU a poll (GetMetrics and IsActive)")


@pytest.mark.bench
def test_giving_a_thousand_changes_to_the_engine() -> None:
    bench = Bench(decision_log=1000, events=1, noisy=True)
    bench.microseconds()
    entry = next(iter(bench.desk.entries()))
    for n in range(1000):
        bench.now += 15.0
        entry.snapshot = bench.snapshots[n % 2]
        bench.desk.peek(bench.trigger)
    begin = time.process_time()
    changes = bench.desk.take_changes()
    size = len(msgspec.msgpack.encode(changes))
    spent = time.process_time() - begin
    print(f"\n{len(changes)} changes: {spent * 1e3:.1f} ms of CPU, {size / len(changes):.0f} bytes each")
