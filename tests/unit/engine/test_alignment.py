"""Which samples are fitted to: the same for all replicas, never earlier ones than before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.engine.alignment import longest_period, train_end

MINUTE, HOUR, DAY = 60, 3600, 86400
WEEKS = 14 * DAY // MINUTE


def end_at(end: int, *, begin: int = 0, window: int = WEEKS, longest: int = 360, phase: float = 0.25) -> int:
    return train_end(begin=begin, end=end, step=MINUTE, window=window, longest=longest, phase=phase)


def test_a_grown_series_is_fitted_on_a_grid_of_its_own() -> None:
    assert end_at(20 * DAY) == 20 * DAY - 6 * HOUR + 90 * MINUTE
    assert end_at(20 * DAY + 90 * MINUTE) == 20 * DAY + 90 * MINUTE
    assert end_at(20 * DAY + 7 * HOUR, phase=0.0) == 20 * DAY + 6 * HOUR
    assert end_at(20 * DAY + 90 * MINUTE - MINUTE, begin=5 * DAY) == end_at(20 * DAY, begin=11 * DAY)


@pytest.mark.parametrize(
    ("age", "behind"),
    [(0, 0), (5, 0), (15, 0), (17, 1), (31, 1), (35, 3), (500, 20), (47 * 60 + 59, 63), (48 * 60, 64)],
)
def test_a_young_one_is_fitted_soon_and_then_less_often(age: int, behind: int) -> None:
    """Ages and lags in minutes; the grid has no offset here."""
    begin = 512 * 60 * 1000
    assert end_at(begin + age * MINUTE, begin=begin, phase=0.0) == begin + (age - behind) * MINUTE


def test_a_window_is_as_good_as_age() -> None:
    # an hour of history is all that there ever is
    full = {"window": 60, "longest": 60, "phase": 0.0}
    assert end_at(DAY + 59 * MINUTE, begin=DAY - 61 * MINUTE, **full) == DAY  # type: ignore[arg-type]  # as declared
    assert longest_period(refit_every=6.0 * HOUR, window=60, step=MINUTE) == 60
    assert longest_period(refit_every=6.0 * HOUR, window=WEEKS, step=MINUTE) == 360
    assert longest_period(refit_every=90.0, window=WEEKS, step=MINUTE) == 1
    assert longest_period(refit_every=60.0, window=336, step=3600) == 1


@given(
    begin=st.integers(0, 5000),
    longest=st.integers(1, 400),
    window=st.integers(1, 5000),
    phase=st.floats(0.0, 1.0, exclude_max=True),
    ages=st.lists(st.integers(0, 6000), min_size=2, max_size=2),
)
def test_it_never_goes_back_and_never_stays_far_behind(
    begin: int, longest: int, window: int, phase: float, ages: list[int]
) -> None:
    longest = min(longest, window)
    earlier, later = (
        end_at((begin + age) * MINUTE, begin=begin * MINUTE, window=window, longest=longest, phase=phase)
        for age in sorted(ages)
    )
    assert begin * MINUTE <= earlier <= later <= (begin + max(ages)) * MINUTE
    assert later % MINUTE == 0
    assert (begin + max(ages)) - later // MINUTE < max(1, min(longest, max(ages)))


@given(
    longest=st.integers(1, 400),
    window=st.integers(1, 3000),
    phase=st.floats(0.0, 1.0, exclude_max=True),
    now=st.integers(20_000, 22_000),
    up_for=st.integers(0, 3000),
)
def test_a_replica_that_was_just_started_agrees_with_one_that_was_up(
    longest: int, window: int, phase: float, now: int, up_for: int
) -> None:
    longest = min(longest, window)
    ends = set()
    for started in (now, now - up_for):
        begin = max(started - window - longest, now - window - longest)  # what was fetched then, what is held now
        ends.add(end_at(now * MINUTE, begin=begin * MINUTE, window=window, longest=longest, phase=phase))
    (end,) = ends
    assert end // MINUTE - window >= now - window - longest  # the whole window before it is held
