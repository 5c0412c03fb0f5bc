"""The demo workload: one load, told live and as a past, that depends on the clock alone."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.premium import level_within, premiums
from forecasting.selection import Auto
from forecasting.series import TimeSeries
from scaler.demo.__main__ import main
from scaler.demo.workload import DemoLoad

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("cycle", [90, 600])
def test_a_cycle_is_quiet_then_steep_then_high_whatever_its_length(cycle: int) -> None:
    load = DemoLoad(cycle=cycle, noise=0.0)
    quiet, high, falling = load.at(np.array([0.2, 26 / 90, 50 / 90]) * cycle + 7 * cycle)
    assert (quiet, high) == (load.low, pytest.approx(load.high))
    assert load.low < falling < load.high


def test_the_past_counts_what_the_load_sums_up_to() -> None:
    load = DemoLoad(cycle=600)
    counted = dict(load.requests(end=10_000, seconds=3600, step=5))
    times = sorted(counted)
    assert (times[0], times[-1], len(times)) == (6401, 9996, 720)
    between = load.at(np.arange(times[0] + 1, times[-1] + 1, dtype=float)).sum()
    assert counted[times[-1]] - counted[times[0]] == pytest.approx(between)


@pytest.mark.parametrize(("cycle", "step", "samples"), [(90, 1, 3600), (600, 5, 1440)])
def test_its_rise_is_foreseen_and_safety_is_cheap(cycle: int, step: int, samples: int) -> None:
    """Both demos, on this machine and in kind: what they show is a forecast that came in time."""
    load = DemoLoad(cycle=cycle)
    end = 100 * cycle + cycle // 6  # before a rise, which is over within the horizon
    horizon = 12 * cycle // 90 // step
    times = end - step * np.arange(samples - 1, -1, -1)
    past = TimeSeries(int(times[0]), step, load.at(times.astype(float)))
    fitted = Auto().fit(past, horizon=horizon, levels=(0.5, 0.9))
    level = level_within(premiums(fitted, past, horizon=horizon), 0.24, steps=horizon)
    assert level >= 0.8
    peak = fitted.predict(past, horizon=horizon, levels=(level,)).peak[0]
    assert peak[0] < 1.5 * load.low
    assert peak[-1] > 0.95 * load.high


def test_prometheus_takes_the_past(tmp_path: Path) -> None:
    main(["--past", "3600", "--cycle", "600", "--to", str(tmp_path / "past.om")])
    blocks = tmp_path / "blocks"
    promtool = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(tmp_path / "past.om"), str(blocks)]
    subprocess.run(promtool, check=True, capture_output=True)
    listed = subprocess.run(["promtool", "tsdb", "list", str(blocks)], check=True, capture_output=True, text=True)
    heading, *rows = listed.stdout.splitlines()
    assert heading.split()[6:8] == ["DURATION", "NUM"]
    assert sum(int(row.split()[4]) for row in rows) == 720
