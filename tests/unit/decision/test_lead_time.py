from __future__ import annotations

from scaler.decision import ASKING_DELAY, horizon, window


def test_the_window_covers_the_asking_and_the_start_of_a_pod() -> None:
    assert window(180.0) == 180.0 + ASKING_DELAY
    assert window(180.0, 10.0) == 190.0


def test_the_horizon_covers_the_window_until_the_forecast_is_too_old() -> None:
    assert horizon(window=225.0, step=60, forecast_max_age=240.0) == 8
    assert horizon(window=46.0, step=3600, forecast_max_age=0.0) == 1
