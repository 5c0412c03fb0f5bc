from __future__ import annotations

from scaler.engine.timetable import Timetable, spread


def test_jobs_come_due_in_order() -> None:
    timetable: Timetable[str] = Timetable()
    timetable.set("late", 30.0)
    timetable.set("early", 10.0)
    timetable.set("middle", 20.0)
    assert timetable.next_due() == 10.0
    assert timetable.pop_due(9.9) == []
    assert timetable.pop_due(20.0) == ["early", "middle"]
    assert timetable.next_due() == 30.0


def test_setting_a_job_again_moves_it() -> None:
    timetable: Timetable[str] = Timetable()
    timetable.set("job", 10.0)
    timetable.set("job", 50.0)
    assert timetable.pop_due(20.0) == []
    timetable.set("job", 5.0)
    assert timetable.pop_due(20.0) == ["job"]
    assert timetable.next_due() is None


def test_a_dropped_job_never_comes() -> None:
    timetable: Timetable[str] = Timetable()
    timetable.set("job", 10.0)
    timetable.drop("job")
    timetable.drop("never set")
    assert timetable.pop_due(100.0) == []


def test_the_spread_is_even_and_the_same_everywhere() -> None:
    phases = [spread(f"series-{n}") for n in range(1000)]
    assert all(0.0 <= phase < 1.0 for phase in phases)
    assert spread("series-0") == phases[0] == 0.7472382146978909
    counts = [sum(low / 10 <= phase < (low + 1) / 10 for phase in phases) for low in range(10)]
    assert min(counts) > 70
