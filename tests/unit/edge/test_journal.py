"""What the edge notes of its answers, and what it does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scaler.decision import Decision, DecisionPolicy, Source
from scaler.edge.journal import Journal
from scaler.telemetry.masking import protect

POLICY = DecisionPolicy(threshold=10.0)
DECISION = Decision(
    value=100.0, active=True, source=Source.OBSERVED, observed=80.0, observed_age=1.0, floor=96.0, would_serve=100.0
)


def decision(value: float = 100.0, **changes: Any) -> Decision:
    return msgspec.structs.replace(DECISION, value=value, would_serve=value, **changes)


def served(journal: Journal) -> list[tuple[str, float, float | None]]:
    return [(trigger, change.at, change.value) for trigger, change in journal.take()]


@pytest.fixture
def journal() -> Journal:
    return Journal(most_waiting=3)


def test_the_first_answer_and_every_change_are_noted_once(journal: Journal) -> None:
    for at, value in ((0.0, 100.0), (10.0, 101.0), (20.0, 120.0), (30.0, 121.0)):
        journal.decided("a", decision(value), POLICY, None, at=at)
    journal.decided("b", decision(), POLICY, None, at=30.0)
    assert served(journal) == [("a", 0.0, 100.0), ("a", 20.0, 120.0), ("b", 30.0, 100.0)]
    assert served(journal) == []


def test_a_creeping_change_is_noted_when_it_has_added_up(journal: Journal) -> None:
    for n in range(8):
        journal.decided("a", decision(100.0 + n), POLICY, None, at=10.0 * n)
    assert served(journal) == [("a", 0.0, 100.0), ("a", 60.0, 106.0)]


def test_of_what_changes_fast_the_state_every_few_seconds_is_noted(journal: Journal) -> None:
    for n in range(10):
        journal.decided("a", decision(100.0 * 2**n), POLICY, None, at=float(n))
    assert served(journal) == [("a", 0.0, 100.0), ("a", 5.0, 3200.0)]


def test_a_clock_that_was_set_back_stops_nothing(journal: Journal) -> None:
    journal.decided("a", decision(), POLICY, None, at=1e6)
    journal.decided("a", decision(200.0), POLICY, None, at=10.0)
    assert served(journal) == [("a", 1e6, 100.0), ("a", 10.0, 200.0)]


def test_errors_are_noted_when_they_begin_and_when_they_end(journal: Journal) -> None:
    journal.failed("a", "the last value is 5m1s old", POLICY, at=0.0)
    journal.failed("a", "the last value is 5m16s old", POLICY, at=15.0)
    journal.failed("a", "the query is wrong", POLICY, at=16.0)
    journal.decided("a", decision(), POLICY, None, at=30.0)
    journal.failed("a", "the query is wrong", POLICY, at=31.0)
    journal.failed("a", "the query is wrong", POLICY, at=40.0)
    changes = journal.take()
    assert [(change.at, change.reason) for _, change in changes if change.value is None] == [
        (16.0, "the query is wrong"),
        (40.0, "the query is wrong"),
    ]
    assert changes[1][1].at == 30.0


def test_the_oldest_give_way_and_are_counted(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(5):
        journal.decided(f"t{n}", decision(), POLICY, None, at=0.0)
    assert [trigger for trigger, _, _ in served(journal)] == ["t2", "t3", "t4"]
    assert [(r.getMessage(), vars(r)["foresail_fields"]) for r in caplog.records] == [("decisions.lost", {"count": 2})]
    assert served(journal) == []
    assert len(caplog.records) == 1


def test_they_are_taken_in_bounded_numbers(journal: Journal) -> None:
    for n in range(3):
        journal.decided(f"t{n}", decision(), POLICY, None, at=0.0)
    assert [trigger for trigger, _ in journal.take(2)] == ["t0", "t1"]
    assert [trigger for trigger, _ in journal.take(2)] == ["t2"]


def test_a_trigger_that_was_forgotten_begins_anew(journal: Journal) -> None:
    journal.decided("a", decision(), POLICY, None, at=0.0)
    journal.forget("a")
    journal.forget("unknown")
    journal.decided("a", decision(), POLICY, None, at=1.0)
    assert len(journal.take()) == 2


def test_it_can_be_off() -> None:
    journal = Journal(most_waiting=0)
    journal.decided("a", decision(), POLICY, None, at=0.0)
    journal.failed("a", "wrong", POLICY, at=0.0)
    assert journal.take() == []


def test_a_secret_in_an_error_is_not_noted(journal: Journal) -> None:
    protect("s3cret-of-the-journal")
    journal.failed("a", "the source refuses s3cret-of-the-journal", POLICY, at=0.0)
    ((_, change),) = journal.take()
    assert "s3cret" not in change.reason
