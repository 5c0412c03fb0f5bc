from __future__ import annotations

import pytest

from scaler.replay.proposal import combined


@pytest.mark.parametrize(
    ("proposals", "replicas", "size"),
    [
        ([3, 7], 5, 7),
        ([None, 7], 5, 7),
        ([None, 5], 5, 5),
        ([None, 4], 5, None),
        ([None, None], 5, None),
    ],
)
def test_a_failed_metric_lets_the_others_scale_up_only(
    proposals: list[int | None], replicas: int, size: int | None
) -> None:
    assert combined(proposals, replicas) == size
