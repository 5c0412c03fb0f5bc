"""What the decision log takes for a change, and what it can tell of it later."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scaler.decision import Decision, DecisionPolicy, Occurrence, Outlook, Snapshot, Source, decide, reason
from scaler.decision.change import Change, differs, same_words

NOW = 1_000_000.0
POLICY = DecisionPolicy(threshold=10.0, lead_time=120.0, asking_delay=45.0, headroom=1.3)
OUTLOOK = Outlook(
    origin=int(NOW), step=60, forecaster="auto", quantile=0.95, peak=(140.0,) * 8, fitted_at=NOW, highest=200.0
)
LAUNCH = Occurrence(NOW, NOW + 600.0, 2.0, 0.0, "launch", "2026-11-27 18:00 Europe/Berlin")
DECISION = Decision(
    value=100.0, active=True, source=Source.FORECAST, observed=80.0, observed_age=1.0, floor=96.0, would_serve=100.0
)


def snapshot(**changes: Any) -> Snapshot:
    made = Snapshot(trigger="t", series="s", made_at=NOW, observed=100.0, observed_at=NOW - 70.0, outlook=OUTLOOK)
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize(
    "known",
    [
        snapshot(),
        snapshot(observed=1.0),
        snapshot(observed=500.0),
        snapshot(outlook=None, note="the first fit is under way"),
        snapshot(outlook=msgspec.structs.replace(OUTLOOK, trusted=False, verdict="worse than persistence")),
        snapshot(outlook=msgspec.structs.replace(OUTLOOK, peak=(900.0,))),
        snapshot(events=(LAUNCH,)),
        snapshot(events=(msgspec.structs.replace(LAUNCH, floor=900.0),), outlook=None),
    ],
)
@pytest.mark.parametrize("policy", [POLICY, msgspec.structs.replace(POLICY, observe_only=True)])
def test_a_kept_decision_gives_the_reason_of_its_time(known: Snapshot, policy: DecisionPolicy) -> None:
    decision = decide(known, policy, now=NOW)
    kept = msgspec.msgpack.encode(Change.of(decision, policy, known.outlook, at=NOW))
    assert msgspec.msgpack.decode(kept, type=Change).reason == reason(decision, policy, known)
    assert len(kept) < 300


def test_a_kept_error_gives_its_text() -> None:
    kept = msgspec.msgpack.encode(Change.failed("the load is not known", at=NOW))
    change = msgspec.msgpack.decode(kept, type=Change)
    assert (change.value, change.active, change.source, change.reason) == (
        None,
        None,
        "unknown",
        "the load is not known",
    )


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({}, False),
        ({"value": 105.0, "would_serve": 105.0}, False),
        ({"value": 105.1, "would_serve": 105.1}, True),
        ({"value": 94.9, "would_serve": 94.9}, True),
        ({"would_serve": 200.0}, True),  # observe mode serves the same and records another
        ({"active": False}, True),
        ({"source": Source.OBSERVED}, True),
        ({"hindrance": "the forecast is 5m10s old"}, True),
        ({"event": LAUNCH}, True),
        ({"observed": 1.0, "observed_age": 30.0, "peak_in": 5.0}, False),
    ],
)
def test_what_differs(*, changes: dict[str, Any], differing: bool) -> None:
    after = msgspec.structs.replace(DECISION, **changes)
    assert differs(after, DECISION, threshold=10.0) is differing


def test_next_to_nothing_is_no_change_of_nothing() -> None:
    none = msgspec.structs.replace(DECISION, value=0.0, would_serve=0.0)
    little = msgspec.structs.replace(DECISION, value=0.09, would_serve=0.09)
    assert not differs(little, none, threshold=10.0)
    assert differs(little, none, threshold=1.0)


def test_an_event_is_the_same_as_long_as_its_name_is() -> None:
    during = msgspec.structs.replace(DECISION, event=LAUNCH)
    later = msgspec.structs.replace(DECISION, event=msgspec.structs.replace(LAUNCH, base=50.0))
    other = msgspec.structs.replace(DECISION, event=msgspec.structs.replace(LAUNCH, name="other"))
    assert not differs(later, during, threshold=10.0)
    assert differs(other, during, threshold=10.0)
    assert differs(DECISION, during, threshold=10.0)


def test_figures_do_not_make_other_words() -> None:
    assert same_words("the forecast is 5m10s old", "the forecast is 2h old")
    assert not same_words("the forecast is 5m10s old", "the load is 5m10s old")
