"""Changes of level are the same whatever a load is counted in and whenever it began, and none is known ahead."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from forecasting.generate import generate_series
from forecasting.models.naive import Naive
from forecasting.prepare.shifts import find_shifts, levelled
from forecasting.series import TimeSeries
from forecasting.shifted import WithShifts

_STEP, _HOUR = 300, 12
_SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def _loads(draw: st.DrawFn) -> TimeSeries:
    """A generated load whose level may change once more than it does by itself."""
    series = generate_series(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), days=14, step=_STEP)
    values = series.values.copy()
    values[draw(st.integers(8 * 24, 13 * 24)) * _HOUR :] *= draw(st.sampled_from([0.2, 0.33, 1.0, 2.0, 5.0]))
    return TimeSeries(series.start, _STEP, values)


@_SETTINGS
@given(_loads(), st.integers(-900, 900))
def test_a_load_counted_in_other_units_has_changed_at_the_same_times_by_as_much(load: TimeSeries, power: int) -> None:
    # a power of two: with any other factor, loads that are counts would tie here and not there
    other = TimeSeries(load.start, _STEP, load.values * 2.0**power)
    assert find_shifts(other) == find_shifts(load)


@_SETTINGS
@given(_loads(), st.integers(-100_000, 100_000))
def test_a_load_that_began_at_another_time_has_changed_as_much_later(load: TimeSeries, steps: int) -> None:
    later = find_shifts(TimeSeries(load.start + _STEP * steps, _STEP, load.values))
    assert [(shift.at - _STEP * steps, shift.factor) for shift in later] == [
        (shift.at, shift.factor) for shift in find_shifts(load)
    ]


@_SETTINGS
@given(_loads(), st.integers(8 * 288, 14 * 288))
def test_what_is_told_lies_in_the_past_is_no_trifle_and_has_lasted(load: TimeSeries, samples: int) -> None:
    past = load.first(samples)
    shifts = find_shifts(past)
    times = [shift.at for shift in shifts]
    assert times == sorted(times, reverse=True)
    for shift in shifts:
        assert past.start + 8 * 86400 - 1800 <= shift.at <= past.end - 8 * 3600 + 1800
        assert shift.at % _STEP == 0
        assert math.log(1.4) - 1e-9 <= abs(math.log(shift.factor)) <= math.log(20.0) + 1e-9
    scaled = levelled(past, shifts)
    if shifts:
        since = (times[0] - past.start) // _STEP
        np.testing.assert_array_equal(scaled.values[since:], past.values[since:])  # today's level is as it is
    else:
        np.testing.assert_array_equal(scaled.values, past.values)


def test_a_newer_one_that_shows_only_at_one_level_comes_first_all_the_same() -> None:
    random = np.random.default_rng(20)
    series = generate_series(random, days=14, step=_STEP)
    values = series.values.copy()
    values[3108:] *= 0.2
    load = TimeSeries(series.start, _STEP, values)
    newest, older = find_shifts(load)
    assert newest.at > older.at
    model = WithShifts(base=Naive()).fit(load, horizon=6, levels=(0.9,))
    between = (newest.at + older.at) // 2 // _STEP - series.start // _STEP
    context = load.first(between + 1)
    many = model.predict_many(load, np.array([between]), horizon=6, levels=(0.9,))  # type: ignore[attr-defined]  # it has
    assert model.predict(context, horizon=6, levels=(0.9,)) == many.forecast(0)


@_SETTINGS
@given(_loads(), st.integers(9 * 288, 14 * 288 - 1))
def test_cutting_the_future_off_changes_no_forecast(load: TimeSeries, samples: int) -> None:
    assume(load.first(samples).known > 300)
    model = WithShifts(base=Naive()).fit(load.first(samples), horizon=6, levels=(0.9,))
    context = load.first(samples).last(model.context_length)
    assume(context.known > 0)
    many = model.predict_many(load, np.array([samples - 1]), horizon=6, levels=(0.9,))  # type: ignore[attr-defined]  # it has
    assume(many.known[0])
    assert model.predict(context, horizon=6, levels=(0.9,)) == many.forecast(0)
