"""The bounds on triggers and memory: who was not called for longest goes, and nobody who is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.series import TimeSeries
from scaler.engine.history import History, bytes_held
from scaler.engine.messages import Evicted, Refused
from scaler.engine.roster import bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.engine.conftest import Workbench

DAY = 1440
SERIES = bytes_of(DAY + 1 + 360 * 3)  # a day of minutes, and three periods between fits


async def kept(bench: Workbench, *names: str, **metadata: str) -> list[str]:
    """Triggers, each with a series of its own unless it is given a query, one minute after the other."""
    found = []
    for name in names:
        found.append(bench.register(name, historyTimeWindow="1d", **{"query": name, **metadata}))
        await bench.engine.settle()
        bench.clock.now += 60.0
    return found


def let_go(bench: Workbench) -> list[str]:
    return [trigger for message in bench.published if isinstance(message, Evicted) for trigger in message.triggers]


def refusals(bench: Workbench) -> list[str]:
    return [message.refusal.text for message in bench.published if isinstance(message, Refused)]


async def test_the_trigger_not_called_for_longest_makes_room_for_another(
    make_workbench: Callable[..., Workbench],
) -> None:
    bench = make_workbench(max_triggers=3)
    a, b, c = await kept(bench, "a", "b", "c")
    bench.engine.called([a, "shop/unknown/0"])
    bench.clock.now += 30.0
    (d,) = await kept(bench, "d")
    assert let_go(bench) == [b]
    assert {one for series in bench.engine.series for one in series.triggers} == {a, c, d}
    assert (bench.engine.trigger_count, bench.engine.series_count, refusals(bench)) == (3, 3, [])


async def test_when_all_are_in_use_the_new_one_is_refused(make_workbench: Callable[..., Workbench]) -> None:
    bench = make_workbench(max_triggers=2)
    triggers = await kept(bench, "a", "b")
    bench.engine.called(triggers)
    bench.clock.now += 60.0
    await kept(bench, "c")
    (refusal,) = refusals(bench)
    assert refusal == (
        "this server already keeps 2 triggers, its setting max_triggers, and all were called within the last minute: "
        "raise it, or run another release of the scaler for some namespaces"
    )
    assert let_go(bench) == []


async def test_memory_is_bounded_by_series_the_idle_go_first(make_workbench: Callable[..., Workbench]) -> None:
    bench = make_workbench(memory_limit=3 * SERIES)
    a, b, c = await kept(bench, "a", "b", "c")
    assert bench.engine.series_bytes == 3 * SERIES
    (again,) = await kept(bench, "a2", query="a")  # a series that is there takes nothing more
    assert (let_go(bench), bench.engine.series_bytes) == ([], 3 * SERIES)
    bench.engine.called([again])
    bench.clock.now += 59.0
    await kept(bench, "d")
    assert let_go(bench) == [b]  # not a: another trigger of its series is in use
    assert bench.engine.series_bytes == 3 * SERIES
    bench.clock.now += 60.0
    wide = bench.register("wide", query="wide", historyTimeWindow="8d")
    await bench.engine.settle()
    assert let_go(bench) == [b, c, a, again]
    assert wide in {one for series in bench.engine.series for one in series.triggers}
    assert bench.engine.series_bytes == SERIES + bytes_of(8 * DAY + 1 + 360 * 3) <= 3 * SERIES


async def test_a_model_that_sees_further_takes_more(make_workbench: Callable[..., Workbench]) -> None:
    bench = make_workbench(memory_limit=4 * SERIES)  # beside the lead time, 7 min 45 s are looked ahead
    sizes = []
    for lead_time in ("auto", "435s", "436s"):
        before = bench.engine.series_bytes
        await kept(bench, f"lead-{lead_time}", leadTime=lead_time)
        sizes.append(bench.engine.series_bytes - before)
    assert sizes == [SERIES, SERIES, SERIES + 11 * 1024]


async def test_no_room_for_another_series_says_how_much_it_would_take(
    make_workbench: Callable[..., Workbench],
) -> None:
    bench = make_workbench(memory_limit=2 * SERIES)
    a, b = await kept(bench, "a", "b")
    bench.engine.called([a, b])
    await kept(bench, "c")
    (refusal,) = refusals(bench)
    assert refusal == (
        f"the series that this server keeps take {2 * SERIES / 2**20:.1f} MiB of its setting memory_limit, "
        f"{2 * SERIES / 2**20:.1f} MiB, all were called within the last minute, and this trigger's would take "
        f"{SERIES / 1024:.0f} KiB more: raise it, ask for a shorter historyTimeWindow, or run another release of the "
        "scaler for some namespaces"
    )
    assert bench.engine.series_bytes == 2 * SERIES


async def test_a_trigger_that_made_room_is_taken_up_again_with_its_past(
    make_workbench: Callable[..., Workbench], start: int
) -> None:
    bench = make_workbench(max_triggers=1)
    (a,) = await kept(bench, "a")
    await bench.persistence.flush(now=bench.clock.now)
    bench.clock.now += 1.0
    await kept(bench, "b")
    assert let_go(bench) == [a]
    bench.source.asked.clear()
    bench.clock.now += 1.0
    await kept(bench, "a")
    ((first, last),) = bench.source.asked
    assert (first, last) == (start + 60, start + 120)  # what is before is in the store
    assert bench.snapshot(a).outlook is not None


@pytest.mark.parametrize("capacity", [100, 1440, 12_601])
def test_a_history_takes_what_is_reckoned_and_no_more(capacity: int) -> None:
    history = History(step=60, capacity=capacity)
    for first in range(0, 3 * capacity, 40):
        history.extend(TimeSeries(60 * first, 60, np.ones(40)))
    assert 4 * capacity <= history._buffer.nbytes <= bytes_held(capacity)
