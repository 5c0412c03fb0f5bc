from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forecasting.series import TimeSeries
from scaler.engine.history import History


def series(start: int, *values: float, step: int = 60) -> TimeSeries:
    return TimeSeries(start, step, np.array(values))


def test_it_grows_at_the_end() -> None:
    history = History(step=60, capacity=10)
    history.extend(series(600, 1.0, 2.0))
    history.extend(series(720, 3.0))
    assert history.last() == series(600, 1.0, 2.0, 3.0)
    assert (len(history), history.end, history.highest()) == (3, 720, 3.0)


def test_what_is_known_stays_as_it_is() -> None:
    history = History(step=60, capacity=10)
    history.extend(series(600, 1.0, 2.0))
    history.extend(series(600, 9.0, 9.0, 3.0))
    history.extend(series(600, 9.0))
    assert history.last() == series(600, 1.0, 2.0, 3.0)


def test_a_gap_is_unknown_not_zero() -> None:
    history = History(step=60, capacity=10)
    history.extend(series(600, 1.0))
    history.extend(series(780, 4.0))
    assert history.last() == series(600, 1.0, np.nan, np.nan, 4.0)
    assert history.last(2) == series(720, np.nan, 4.0)


def test_a_gap_longer_than_the_capacity_leaves_only_what_is_new() -> None:
    history = History(step=60, capacity=4)
    history.extend(series(600, 1.0, 2.0))
    history.extend(series(6000, 5.0, 6.0))
    assert history.last() == series(5880, np.nan, np.nan, 5.0, 6.0)


def test_an_empty_history_has_no_highest_load() -> None:
    history = History(step=60, capacity=4)
    history.extend(series(0))
    assert (len(history.last()), history.highest(), history.end) == (0, 0.0, 0)


@given(capacity=st.integers(1, 40), batches=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 30)), max_size=12))
def test_it_holds_the_last_of_all_samples(capacity: int, batches: list[tuple[int, int]]) -> None:
    history = History(step=60, capacity=capacity)
    everything: list[float] = []
    for gap, count in batches:
        if everything:
            everything += [np.nan] * gap
        start = len(everything) * 60
        new = [float(len(everything) + n) for n in range(count)]
        everything += new
        history.extend(series(start, *new))
    kept = everything[-capacity:]
    assert np.array_equal(history.last().values, np.array(kept), equal_nan=True)
    if kept:
        assert history.last().end == (len(everything) - 1) * 60


def test_an_older_past_is_taken_up_before_what_is_known() -> None:
    history = History(step=60, capacity=10)
    history.extend(series(600, 1.0, np.nan, 3.0))
    assert history.start == 600
    history.merge(series(480, 8.0, 9.0, 7.0, 7.0))
    assert history.last() == series(480, 8.0, 9.0, 1.0, 7.0, 3.0)
    assert (history.start, history.end, len(history)) == (480, 720, 5)
    history.extend(series(780, 4.0))
    assert history.last(2) == series(720, 3.0, 4.0)


def test_an_older_past_may_reach_further_than_what_is_known_and_than_the_capacity() -> None:
    history = History(step=60, capacity=4)
    history.extend(series(600, 1.0))
    history.merge(series(360, 5.0, 5.0, 5.0, 6.0, 7.0, 8.0))
    assert history.last() == series(480, 5.0, 6.0, 1.0, 8.0)
    history.merge(series(240, 9.0))
    assert history.last() == series(480, 5.0, 6.0, 1.0, 8.0)


def test_merging_at_the_end_is_extending() -> None:
    history = History(step=60, capacity=4)
    history.merge(series(600, 1.0))
    history.merge(series(600))
    history.merge(series(600, 9.0, 2.0))
    assert history.last() == series(600, 1.0, 2.0)


def test_it_begins_with_the_first_known_sample() -> None:
    history = History(step=60, capacity=10)
    assert history.begin() == 60
    history.extend(series(600, np.nan, np.nan))
    assert history.begin() == 660  # nothing is known yet
    history.extend(series(720, 1.0, np.nan, 3.0, 4.0))
    assert (history.start, history.begin()) == (600, 720)
    assert [history.begin(since) for since in (0, 720, 780, 840)] == [720, 720, 840, 840]


def test_a_sample_takes_four_bytes_and_little_room_to_grow() -> None:
    history = History(step=60, capacity=11_520)
    for start in range(0, 60 * 20_000, 60 * 500):
        history.extend(TimeSeries(start, 60, np.arange(500.0) + start))
    assert history._buffer.nbytes <= 1.05 * 4 * 11_520
    history.merge(TimeSeries(-60 * 500, 60, np.zeros(500)))
    assert history._buffer.dtype == np.float32


def test_seven_digits_are_kept_and_what_is_too_large_for_them_stays_finite() -> None:
    history = History(step=60, capacity=4)
    history.extend(series(600, 1234567.0, 0.1, 1e300, -1e300))
    values = history.last().values
    assert values[0] == 1234567.0
    assert abs(values[1] - 0.1) < 1e-8
    assert np.isfinite(values).all()
    assert history.highest() > 3e38


def test_it_is_cut_at_the_end() -> None:
    history = History(step=60, capacity=10)
    history.cut(0.0)
    history.extend(series(600, 1.0, 2.0, 3.0))
    history.cut(720.0)
    assert history.last() == series(600, 1.0, 2.0, 3.0)
    history.cut(719.5)
    assert history.last() == series(600, 1.0, 2.0)
    history.extend(series(720, 4.0))
    assert history.last() == series(600, 1.0, 2.0, 4.0)
    history.cut(0.0)
    assert (len(history), history.end) == (0, 0)
