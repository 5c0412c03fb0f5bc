"""The sentence that explains a decision, word for word."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scaler.decision import DecisionPolicy, Outlook, Snapshot, decide, reason

NOW = 1_000_020.0
OUTLOOK = Outlook(
    origin=1_000_000,
    step=60,
    forecaster="auto",
    quantile=0.9,
    peak=(140.0,) * 8,
    fitted_at=0.0,
    highest=200.0,
)
SNAPSHOT = Snapshot(
    trigger="shop/web/0", series="s", made_at=NOW, observed=100.0, observed_at=NOW - 5.0, outlook=OUTLOOK
)
POLICY = DecisionPolicy(threshold=10.0, headroom=1.2)
QUANTILE = "the 0.9-quantile of the peak within 3m45s (auto) is"


NO_CHANGES: dict[str, Any] = {}


def told(*, outlook: dict[str, Any] | None = NO_CHANGES, policy: dict[str, Any] = NO_CHANGES, **snapshot: Any) -> str:
    """The reason for a decision on the above with changes; `outlook=None` is no forecast at all."""
    foreseen = None if outlook is None else msgspec.structs.replace(OUTLOOK, **outlook)
    one = msgspec.structs.replace(SNAPSHOT, outlook=foreseen, **snapshot)
    wanted = msgspec.structs.replace(POLICY, **policy)
    return reason(decide(one, wanted, now=NOW), wanted, one)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, f"serving 140: {QUANTILE} 140, reached in 40s at the latest; the floor is 1.2 x observed 100"),
        (
            {"outlook": {"origin": 999_940, "peak": (140.0,) * 8}},
            f"serving 140: {QUANTILE} 140; the floor is 1.2 x observed 100",
        ),
        (
            {"outlook": {"peak": (90.5,) * 8}},
            f"serving 120: 1.2 x observed 100, because {QUANTILE} 90.5, not more than that",
        ),
        (
            {"outlook": {"peak": (900.0,) * 8, "highest": 1.0}, "policy": {"max_factor": 1.1}},
            f"serving 120: 1.2 x observed 100, because {QUANTILE} 900, cut to 110, not more than that",
        ),
        (
            {"outlook": {"peak": (900.0,) * 8}},
            f"serving 400: {QUANTILE} 900, cut to 400, the most that the caps allow; the floor is 1.2 x observed 100",
        ),
        (
            {"outlook": None, "note": "naive needs 3 known samples of history, this series has 1"},
            "serving 120: 1.2 x observed 100, because naive needs 3 known samples of history, this series has 1",
        ),
        (
            {"outlook": {"trusted": False, "verdict": "the gate is closed"}},
            "serving 120: 1.2 x observed 100, because the gate is closed",
        ),
        (
            {"policy": {"observe_only": True}},
            (
                "observe mode: serving the observed 100; active mode would serve 140: "
                f"{QUANTILE} 140, reached in 40s at the latest; the floor is 1.2 x observed 100"
            ),
        ),
        (
            {"observed_at": NOW - 90.0},
            (
                f"serving 140: {QUANTILE} 140, reached in 40s at the latest; the floor is 1.2 x observed 100 "
                "(observed 1m30s ago)"
            ),
        ),
    ],
)
def test_reason(changes: dict[str, Any], text: str) -> None:
    assert told(**changes) == text
