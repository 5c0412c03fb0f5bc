from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scaler.replay.keda import Fallback, FallbackCounter, Keda, ScaledObjectSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.replay.conftest import Poll, Recording

ZERO = sorted(
    path.stem
    for pattern in ("zero-*.json", "idle-*.json")
    for path in (Path(__file__).parents[2] / "data" / "hpa").glob(pattern)
)


def active(recording: Recording, poll: Poll) -> list[bool | None]:
    thresholds = [float(trigger["metadata"]["activation"]) for trigger in recording.triggers]
    return [
        None if value is None else value > threshold for value, threshold in zip(poll.values, thresholds, strict=True)
    ]


def sizes_written(recording: Recording) -> list[tuple[float, int]]:
    """(time, spec.replicas) at every change that was seen."""
    changes: list[tuple[float, int]] = []
    for t, _desired, _current, spec, *_ in recording.raw["replicas"]:
        if not changes or changes[-1][1] != spec:
            changes.append((t, spec))
    return changes


@pytest.mark.parametrize("name", ZERO)
def test_kedas_polls_wake_and_put_to_sleep_as_recorded(
    name: str, recordings: dict[str, Recording], keda_for: Callable[[Recording], Keda]
) -> None:
    recording = recordings[name]
    keda = keda_for(recording)
    changes = sizes_written(recording)
    times = [t for t, _ in changes]
    by_hpa = {sync.t for sync in recording.syncs if sync.rescaled_to is not None}
    explained = 0
    for poll in recording.polls:
        before = changes[bisect_right(times, poll.t) - 1][1]
        after = keda.poll(poll.t, active(recording, poll), before)
        # a watch event arrives up to 65 ms after the answer; the HPA's own rescales are left to it
        seen = [spec for t, spec in changes if poll.t < t < poll.t + 0.1 and not any(h < t < h + 0.1 for h in by_hpa)]
        assert seen == ([] if after == before else [after]), f"poll at {poll.t}"
        explained += after != before
    written_by_keda = [t for t in times[1:] if not any(h < t < h + 0.1 for h in by_hpa)]
    assert explained == len(written_by_keda) > 0


def keda(min_replicas: int = 0, idle_replicas: int | None = None) -> Keda:
    return Keda(ScaledObjectSpec(min_replicas=min_replicas, idle_replicas=idle_replicas, cooldown_period=60))


def test_never_active_sleeps_at_once_and_any_active_trigger_wakes() -> None:
    loop = keda()
    assert loop.poll(0.0, [False, False], 3) == 0
    assert loop.poll(30.0, [False, True], 0) == 1
    assert loop.poll(60.0, [True, None], 7) == 7


def test_cools_down_from_the_last_active_poll_and_from_any_size() -> None:
    loop = keda()
    assert loop.poll(0.0, [True], 5) == 5
    assert loop.poll(59.9, [False], 20) == 20
    assert loop.poll(60.0, [False], 20) == 0


def test_an_error_moves_nothing_and_renews_nothing() -> None:
    loop = keda()
    assert loop.poll(0.0, [True], 4) == 4
    assert loop.poll(300.0, [None], 4) == 4
    assert loop.poll(330.0, [False, None], 4) == 4
    assert loop.poll(360.0, [False], 4) == 0
    assert loop.poll(390.0, [None], 0) == 0


def test_wakes_to_the_minimum_and_sleeps_to_the_idle_size() -> None:
    loop = keda(min_replicas=3, idle_replicas=1)
    assert loop.poll(0.0, [False], 3) == 1
    assert loop.poll(30.0, [False], 1) == 1
    assert loop.poll(60.0, [True], 1) == 3


def test_without_a_size_to_sleep_at_only_the_minimum_is_held() -> None:
    loop = keda(min_replicas=2)
    assert loop.poll(0.0, [False], 9) == 9
    assert loop.poll(30.0, [False], 0) == 2
    assert loop.poll(60.0, [True], 0) == 2


@pytest.mark.parametrize(
    ("behavior", "current", "size"),
    [
        ("static", 9, 6),
        ("currentReplicas", 9, 9),
        ("currentReplicasIfHigher", 9, 9),
        ("currentReplicasIfHigher", 2, 6),
        ("currentReplicasIfLower", 9, 6),
        ("currentReplicasIfLower", 2, 2),
    ],
)
def test_fallback_starts_beyond_its_threshold_and_a_good_answer_resets_it(
    behavior: str, current: int, size: int
) -> None:
    counter = FallbackCounter(Fallback(failure_threshold=1, replicas=6, behavior=behavior))  # type: ignore[arg-type]  # parametrised
    assert counter.failed(current) is None
    assert counter.failed(current) == size
    counter.good()
    assert counter.failed(current) is None
