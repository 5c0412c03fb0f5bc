from __future__ import annotations

import pytest

from scaler.local_calendar import with_calendar


@pytest.mark.parametrize(
    ("forecaster", "parameters", "told"),
    [
        ("auto", {}, {"timezone": "Asia/Tokyo", "holidays": "JP"}),
        ("seasonal-profile", {"holidays": "FR"}, {"timezone": "Asia/Tokyo", "holidays": "FR"}),
        ("ets", {"trend": "false"}, {"trend": "false"}),  # follows neither
        ("nobody's", {}, {}),
    ],
)
def test_who_follows_clocks_and_holidays_is_told_whose_unless_that_is_said(
    forecaster: str, parameters: dict[str, str], told: dict[str, str]
) -> None:
    assert with_calendar(forecaster, parameters, time_zone="Asia/Tokyo", holidays="JP") == told


def test_what_is_usual_is_not_told() -> None:
    assert with_calendar("auto", {}, time_zone="UTC", holidays="") == {}
