from __future__ import annotations

import pytest

from scaler.replay.compare import Point, shed_at_cost


def point(cost: float, shed: float) -> Point:
    return Point(
        policy="reactive",
        headroom=1.0,
        quantile=None,
        under_provisioned_load=shed,
        under_provisioned_time=0.0,
        pod_hours=cost * 10,
        oracle_pod_hours=10,
        scale_events=0,
    )


def test_lies_between_the_settings_and_is_unknown_outside() -> None:
    curve = [point(1.5, 0.01), point(1.0, 0.05), point(1.1, 0.03)]
    assert shed_at_cost(curve, 1.0) == 0.05
    assert shed_at_cost(curve, 1.05) == pytest.approx(0.04)
    assert shed_at_cost(curve, 1.3) == pytest.approx(0.02)
    assert shed_at_cost(curve, 1.51) is None
    assert shed_at_cost(curve, 0.99) is None
    assert shed_at_cost([], 1.0) is None
