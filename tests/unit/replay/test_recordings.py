"""Faithful: at every recorded sync, the size, the proposal and the limit of the real HPA."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from scaler.replay import hpa, limits, proposal
from scaler.replay.hpa import Autoscaler, Verdict
from scaler.replay.limits import ScaleEvents
from scaler.replay.stabilisation import Recommendations

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.replay.behavior import Policy
    from scaler.replay.proposal import Metric
    from tests.unit.replay.conftest import Recording

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "data" / "hpa").glob("*.json"))


def test_all_recordings_are_here(recordings: dict[str, Recording]) -> None:
    assert len(recordings) == 120
    assert sum(len(recording.syncs) for recording in recordings.values()) == 8888
    assert sum(sync.rescaled_to is not None for recording in recordings.values() for sync in recording.syncs) == 615


@pytest.mark.parametrize("name", NAMES)
def test_the_size_at_every_sync_is_that_of_the_real_hpa(name: str, recordings: dict[str, Recording]) -> None:
    compared = recordings[name].replayed()
    assert [c for c in compared if not c.same] == []


# --- what the recordings can tell apart: each of these wrong rules is caught ------------------


def legacy_limit_of_the_default_policies(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hpa, "legacy_limit", lambda replicas: max(2 * replicas, replicas + 4))


def legacy_window_never_scales_up(patch: pytest.MonkeyPatch) -> None:
    right = Autoscaler._normalised

    def wrong(self: Autoscaler, now: float, proposed: int, replicas: int, memory: Recommendations) -> Verdict:
        verdict = right(self, now, proposed, replicas, memory)
        chased = self._spec.behavior is None and verdict.stabilised and verdict.replicas > replicas >= proposed
        return msgspec.structs.replace(verdict, replicas=replicas) if chased else verdict

    patch.setattr(Autoscaler, "_normalised", wrong)


def events_are_all_kept(patch: pytest.MonkeyPatch) -> None:
    def wrong(events: list[tuple[float, int]], now: float, change: int, longest_period: int) -> None:
        del longest_period
        events.append((now, change))

    patch.setattr(limits, "_store", wrong)


def policies_count_their_own_direction(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: ScaleEvents, policy: Policy, now: float, replicas: int) -> int:
        cutoff = now - policy.period
        if any(own is policy for own in self._behavior.up.policies):
            return replicas - sum(change for time, change in self._up if time > cutoff)
        return replicas + sum(change for time, change in self._down if time > cutoff)

    patch.setattr(ScaleEvents, "_start", wrong)


def percent_down_rounded_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "percent_down", lambda start, value: -int(-start * (100 - value) // 100))


def percent_up_rounded_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(limits, "percent_up", lambda start, value: int(start * (100 + value) / 100))


def value_times_all_replicas(patch: pytest.MonkeyPatch) -> None:
    right = proposal.proposal

    def wrong(metric: Metric, usage: int, tolerance: tuple[float, float], **sizes: int) -> int:
        return right(metric, usage, tolerance, **{**sizes, "ready": sizes["replicas"]})

    patch.setattr(hpa, "proposal", wrong)


def average_over_ready_pods(patch: pytest.MonkeyPatch) -> None:
    right = proposal.proposal

    def wrong(metric: Metric, usage: int, tolerance: tuple[float, float], **sizes: int) -> int:
        return right(metric, usage, tolerance, **{**sizes, "pods": sizes["ready"]})

    patch.setattr(hpa, "proposal", wrong)


def tolerance_without_its_bounds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proposal, "within_tolerance", lambda ratio, up, down: 1.0 - down < ratio < 1.0 + up)


def first_sync_remembers_nothing(patch: pytest.MonkeyPatch) -> None:
    right = Recommendations.__init__

    def wrong(self: Recommendations, now: float, size: int) -> None:
        right(self, now, size)
        self._times, self._sizes = [], []

    patch.setattr(Recommendations, "__init__", wrong)


def failed_syncs_remember_the_size(patch: pytest.MonkeyPatch) -> None:
    right = Autoscaler.sync

    def wrong(self: Autoscaler, now: float, usages: Any, **sizes: int) -> Verdict:
        verdict = right(self, now, usages, **sizes)
        if verdict.failed and self._recommendations is not None:
            memory = self._recommendations
            memory._remember(len(memory._times), now, sizes["replicas"])
            memory._by_time = None
        return verdict

    patch.setattr(Autoscaler, "sync", wrong)


def bypass_is_no_event(patch: pytest.MonkeyPatch) -> None:
    right = Autoscaler._record

    def wrong(self: Autoscaler, now: float, before: int, after: int) -> None:
        if self._spec.min_replicas <= before <= self._spec.max_replicas:
            right(self, now, before, after)

    patch.setattr(Autoscaler, "_record", wrong)


def recommendation_remembered_after_limits(patch: pytest.MonkeyPatch) -> None:
    right = Autoscaler._normalised

    def wrong(self: Autoscaler, now: float, proposed: int, replicas: int, memory: Recommendations) -> Verdict:
        verdict = right(self, now, proposed, replicas, memory)
        memory._sizes[memory._times.index(now)] = verdict.replicas
        memory._by_time = None
        return verdict

    patch.setattr(Autoscaler, "_normalised", wrong)


def failed_metric_ignored_on_the_way_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hpa, "combined", lambda sizes, _: max((size for size in sizes if size is not None), default=None))


def windows_a_sync_longer(patch: pytest.MonkeyPatch) -> None:
    highest, held = Recommendations.highest, Recommendations.held
    patch.setattr(Recommendations, "highest", lambda self, now, size, window: highest(self, now, size, window + 15))
    patch.setattr(
        Recommendations,
        "held",
        lambda self, now, size, replicas, up, down: held(self, now, size, replicas, up + 15, down + 15),
    )


def policies_are_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hpa, "_limited", lambda _now, steady, *_: (steady, hpa.Limit.NONE))


@pytest.mark.parametrize(
    ("wrong_rule", "caught_by"),
    [
        (legacy_limit_of_the_default_policies, {"default-limits-from-1", "manual-scale", "metric-zero"}),
        (legacy_window_never_scales_up, {"spike-one-sync-x100", "spike-one-sync"}),
        (events_are_all_kept, {"policy-event-slot-reuse", "policy-up-events-open-down"}),
        (policies_count_their_own_direction, {"manual-scale-behavior", "policy-down-events-open-up"}),
        (percent_down_rounded_up, {"down-both-max", "down-both-min", "down-pct-10-60-small"}),
        (percent_up_rounded_down, {"noisy-policies", "up-both-max", "up-pct-10-60-from-1"}),
        (value_times_all_replicas, {"never-ready-value", "slow-start-value", "value-slow-window"}),
        (average_over_ready_pods, {"slow-start-avg"}),
        (tolerance_without_its_bounds, {"steady-within-9pct"}),
        (first_sync_remembers_nothing, {"fresh-overprovisioned", "fresh-underprovisioned-upstab"}),
        (failed_syncs_remember_the_size, {"missing-fallback-if-lower", "missing-fallback-lower"}),
        (bypass_is_no_event, {"manual-scale-behavior", "policy-max-lowered"}),
        (recommendation_remembered_after_limits, {"behavior-change", "behavior-edit", "cached-metrics-30"}),
        (failed_metric_ignored_on_the_way_down, {"two-triggers-err-down", "two-triggers-err-up"}),
        (windows_a_sync_longer, {"behavior-edit", "cached-metrics-60", "default-behavior-from-1"}),
        (policies_are_ignored, {"up-pods-2-60", "down-pods-1-30", "policy-max-lowered"}),
    ],
)
def test_a_wrong_rule_is_caught(
    wrong_rule: Callable[[pytest.MonkeyPatch], None],
    caught_by: set[str],
    recordings: dict[str, Recording],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong_rule(monkeypatch)
    differing = {
        recording.name
        for recording in recordings.values()
        if any(not compared.same for compared in recording.replayed())
    }
    assert caught_by <= differing


def test_memory_that_outlives_its_hpa_is_caught(recordings: dict[str, Recording]) -> None:
    differing = {
        recording.name
        for recording in recordings.values()
        if any(not compared.same for compared in recording.replayed(forgets=False))
    }
    assert {"recreated-after-pause", "restart-drop-behavior", "restart-drop-default"} <= differing
