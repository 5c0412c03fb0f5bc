"""Covariates: fetched beside the load, with its rights and quotas, and used where they earn it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.engine.messages import Refused
from scaler.errors import SourceUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.engine.conftest import Workbench

DAY = 86400
LEAD = 10  # minutes by which the queue fills before the load comes


def queue(time: float) -> float:
    """Bursts of half an hour at moments that nothing else tells."""
    slot = int(time // 1800)
    return 5.0 + 300.0 * float(np.random.default_rng(slot).random() < 0.2)


def load(time: float) -> float:
    noise = np.random.default_rng(int(time) + 7).normal(0, 2)
    return 100.0 + queue(time - 60 * LEAD) + float(noise)


@pytest.fixture
def led(make_workbench: Callable[..., Workbench]) -> Workbench:
    bench = make_workbench()
    bench.source.load, bench.source.others = load, {"queue": queue}
    return bench


async def settled(bench: Workbench, now: float) -> None:
    await bench.engine.settle()
    await bench.at(now)


async def test_a_burst_that_a_covariate_announces_is_forecast(led: Workbench, start: int) -> None:
    plain = led.register("plain", historyTimeWindow="3d", quantile="0.9")
    led_by = led.register("led", historyTimeWindow="3d", quantile="0.9", covariates="queue")
    await settled(led, start + 30)
    requests = {len(request.covariates): request for request in led.fits.requests}
    assert len(requests[1].covariates[0]) == len(requests[1].values)
    assert requests[0].covariates == []
    outlook = led.snapshot(led_by).outlook
    assert outlook is not None
    assert "covariates " in outlook.explanation
    assert "% less loss over the last 0.7 days" in outlook.explanation
    # a moment when the queue has filled and the load has not come yet
    now = next(t for t in range(start + 3600, start + DAY, 60) if queue(t) > 100 > queue(t - 240) and load(t) < 150)
    await led.at(now + 45)
    before, after = (led.snapshot(one).outlook for one in (plain, led_by))
    assert before is not None
    assert after is not None
    came = max(load(t) for t in range(after.origin, after.origin + 60 * (LEAD + 1), 60))
    assert after.origin == before.origin
    assert after.peak[LEAD] == pytest.approx(came, rel=0.15)
    assert before.peak[LEAD] < 0.5 * came
    assert led.source.queries.count("queue") > 2


async def test_a_covariate_that_says_nothing_is_left_out_in_words(led: Workbench, start: int) -> None:
    led.source.others["dice"] = lambda time: float(np.random.default_rng(int(time)).random())
    trigger = led.register(historyTimeWindow="3d", covariates="dice")
    await settled(led, start + 30)
    outlook = led.snapshot(trigger).outlook
    assert outlook is not None
    assert outlook.explanation.startswith("covariates left out, for they gained nothing: ")


async def test_one_that_cannot_be_fetched_holds_nothing_up(led: Workbench, start: int) -> None:
    led.source.failing["queue"] = SourceUnreachable("no such metric")
    trigger = led.register(historyTimeWindow="3d", covariates="queue")
    await settled(led, start + 30)
    snapshot = led.snapshot(trigger)
    assert snapshot.warning == "covariate 1 cannot be fetched, so forecasts do without: no such metric"
    assert snapshot.outlook is not None
    assert snapshot.outlook.explanation == "covariates left out: too many of their samples are missing"
    # it is asked for less and less often
    asked = led.source.queries.count("queue")
    await led.at(start + 3600)
    assert led.source.queries.count("queue") - asked < 20
    del led.source.failing["queue"]
    await led.at(start + 7200)
    assert led.snapshot(trigger).warning == ""


async def test_they_are_let_go_of_with_the_last_trigger_that_uses_them(led: Workbench, start: int) -> None:
    led.register("one", historyTimeWindow="3d", covariates="queue")
    led.register("two", historyTimeWindow="3d", covariates="queue")
    await settled(led, start + 30)
    assert len(led.opened) == 2  # the load and the queue, each once
    led.engine.housekeep()
    await led.at(start + int(led.settings.idle_after) + 120)
    assert led.engine.trigger_count == 0
    asked = led.source.queries.count("queue")
    await led.at(start + int(led.settings.idle_after) + 600)
    assert led.source.queries.count("queue") == asked


async def test_quotas_count_them(make_workbench: Callable[..., Workbench], start: int) -> None:
    bench = make_workbench(namespace_series=2)
    trigger = bench.register("greedy", covariates="a\nb")
    await settled(bench, start + 1)
    (refused,) = (message for message in bench.published if isinstance(message, Refused))
    assert refused.trigger == trigger
    assert refused.refusal.text.startswith("namespace shop has 0 distinct series, and its quota namespace_series is 2")
    bench.register("modest", covariates="a")
    await settled(bench, start + 2)
    assert bench.engine.trigger_count == 1
