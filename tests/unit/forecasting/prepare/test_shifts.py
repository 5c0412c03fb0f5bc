from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from forecasting.prepare.shifts import Shift, find_shifts, levelled
from forecasting.series import FloatArray, TimeSeries

STEP, HOUR, DAY = 300, 12, 288
START = 1_767_571_200  # Monday, 2026-01-05


def office(*, days: int = 21, weekend: float = 0.3, growth: float = 0.0, seed: int = 1) -> FloatArray:
    """Busy by day, less so on weekends, each day a little different, with noise that lasts."""
    random = np.random.default_rng(seed)
    n = np.arange(days * DAY)
    day, hour = n // DAY, n % DAY / HOUR
    busy = 1.0 + 2.0 / (1 + np.exp(-(hour - 8.5) / 0.5)) / (1 + np.exp((hour - 18.0) / 0.7))
    log = np.log(busy) + np.log(np.where(day % 7 >= 5, weekend, 1.0)) + random.normal(0, 0.04, days)[day]
    lasting = np.zeros(n.size)
    for i, shock in enumerate(random.normal(0, 0.02, n.size - 1), start=1):
        lasting[i] = 0.9 * lasting[i - 1] + shock
    return np.asarray(100.0 * np.exp(log + lasting + growth * n / (7 * DAY)))


def found(values: FloatArray) -> tuple[Shift, ...]:
    return find_shifts(TimeSeries(START, STEP, values))


def first_found(values: FloatArray, *, since: int) -> int:
    """Hours after `since` at which anything is found for the first time."""
    return next(hours for hours in range(1, 48) if found(values[: since + hours * HOUR]))


@pytest.mark.parametrize("factor", [3.0, 1.6, 1 / 3])
@pytest.mark.parametrize("hour", [2, 9, 16])
def test_a_lasting_change_is_found_while_it_is_young_and_days_later(factor: float, hour: int) -> None:
    values = office(weekend=0.8)
    at = 15 * DAY + hour * HOUR + 3  # a quarter past
    values[at:] *= factor
    for later in (9 * HOUR, 26 * HOUR, 4 * DAY):
        (shift,) = found(values[: at + later])
        assert abs(shift.at - (START + STEP * at)) <= 2 * STEP
        assert shift.factor == pytest.approx(factor, rel=0.12)


def test_it_is_told_when_it_has_lasted_eight_hours() -> None:
    values = office()
    at = 15 * DAY + 2 * HOUR
    values[at:] *= 3.0
    assert first_found(values, since=at) == 8


def test_a_fall_that_leaves_the_load_above_its_weekends_is_told_when_no_weekend_was_like_it() -> None:
    # a third on a Tuesday is what weekends are; on the next one it is a third of that
    values = office(weekend=0.3)
    at = 15 * DAY + 2 * HOUR
    values[at:] /= 3.0
    assert not found(values[: at + 30 * HOUR])
    (shift,) = found(values[: 20 * DAY])
    assert abs(shift.at - (START + STEP * at)) <= 2 * STEP
    assert shift.factor == pytest.approx(1 / 3, rel=0.1)


def test_two_changes_are_told_newest_first_and_their_sizes_multiply() -> None:
    values = office(weekend=0.8)
    values[10 * DAY + HOUR :] *= 0.4
    values[17 * DAY + 5 * HOUR :] *= 3.0
    shifts = found(values)
    assert [round((shift.at - START) / STEP / DAY, 1) for shift in shifts] == [17.2, 10.0]
    assert [shift.factor for shift in shifts] == [pytest.approx(3.0, rel=0.1), pytest.approx(0.4, rel=0.1)]
    level = levelled(TimeSeries(START, STEP, values), shifts).values / office(weekend=0.8)
    assert np.ptp(np.log(level)) < 0.25
    assert level[-1] == pytest.approx(1.2)  # that of today


def test_growth_that_goes_on_does_not_count_as_a_part_of_it() -> None:
    values = office(weekend=0.8, growth=0.2)
    values[15 * DAY :] *= 2.0
    assert found(values)[0].factor == pytest.approx(2.0, rel=0.1)  # and not 2.0 x exp(0.2)


def test_it_is_found_with_gaps_in_the_week_before_and_since() -> None:
    values = office(weekend=0.8)
    at = 15 * DAY + 9 * HOUR
    values[at:] *= 3.0
    values[at - 3 * DAY : at - 2 * DAY] = np.nan
    values[at + HOUR : at + 2 * HOUR] = np.nan
    values[::7] = np.nan
    (shift,) = found(values[: at + 10 * HOUR])
    assert shift.factor == pytest.approx(3.0, rel=0.15)


def test_one_that_is_over_is_none() -> None:
    values = office()
    values[16 * DAY : 17 * DAY] *= 3.0
    assert found(values[: 16 * DAY + 10 * HOUR])
    assert not found(values[: 17 * DAY + 4 * HOUR])


def _nothing() -> FloatArray:
    return office()


def _deep_weekends() -> FloatArray:
    return office(weekend=0.08)


def _holiday() -> FloatArray:
    values = office()
    values[16 * DAY : 17 * DAY] = values[13 * DAY : 14 * DAY]  # a Wednesday as the Sunday before
    return values


def _bridge_days() -> FloatArray:
    values = office()
    values[17 * DAY : 19 * DAY] = values[12 * DAY : 14 * DAY]  # no work from Thursday to Sunday
    return values


def _growth() -> FloatArray:
    return office(growth=0.7)  # twice the load in a week


def _burst() -> FloatArray:
    values = office()
    values[16 * DAY + 10 * HOUR :][: 4 * HOUR] *= 6.0
    return values


def _outages() -> FloatArray:
    values = office()
    values[12 * DAY + 10 * HOUR :][: 5 * HOUR] = 0.0
    values[16 * DAY + 10 * HOUR :][: 9 * HOUR] = 0.01
    values[18 * DAY :][: 9 * HOUR] = np.nan
    return values


def _nightly_job_that_moves() -> FloatArray:
    values = office()
    for day in range(21):
        values[day * DAY + (1 if day < 16 else 4) * HOUR :][: 2 * HOUR] += 900.0
    return values


def _idle_but_for_sessions() -> FloatArray:
    random = np.random.default_rng(4)
    values = np.zeros(21 * DAY)
    for begin, end in pairwise(np.cumsum(random.integers(2 * HOUR, DAY, 80))[::2]):
        values[begin : (begin + end) // 2] = 500.0
    return values


def _noise() -> FloatArray:
    random = np.random.default_rng(5)
    return np.asarray(random.gamma(0.3, 100.0, 21 * DAY))


def _wandering() -> FloatArray:
    random = np.random.default_rng(6)
    log = np.zeros(21 * DAY)
    for i, shock in enumerate(random.normal(0, 0.05, log.size - 1), start=1):
        log[i] = 0.98 * log[i - 1] + shock  # comes back within hours
    return np.asarray(100.0 * np.exp(log))


def _constant() -> FloatArray:
    return np.full(21 * DAY, 7.0)


@pytest.mark.parametrize(
    "look_alike",
    [
        _nothing,
        _deep_weekends,
        _holiday,
        _bridge_days,
        _growth,
        _burst,
        _outages,
        _nightly_job_that_moves,
        _idle_but_for_sessions,
        _noise,
        _wandering,
        _constant,
    ],
)
def test_what_is_no_change_of_level_is_never_told(look_alike: object) -> None:
    values = look_alike()  # type: ignore[operator]  # each of these makes a series
    for end in range(8 * DAY, len(values) + 1, 3 * HOUR):
        assert not found(values[:end]), f"after {end / DAY} days"


@pytest.mark.parametrize("days", [0, 1, 7])
def test_too_little_history_tells_nothing(days: int) -> None:
    values = office(days=14)[7 * DAY - days * DAY :]
    values[days * DAY :] *= 3.0
    assert not found(values[: days * DAY + DAY])


@pytest.mark.parametrize("step", [86_400, 7, 90_000])
def test_steps_that_are_coarse_or_divide_no_day(step: int) -> None:
    values = np.repeat([10.0, 40.0], 100)
    shifts = find_shifts(TimeSeries(0, step, values))
    assert [shift.at for shift in shifts] == ([100 * step] if step == 86_400 else [])


def test_covariates_stay_as_they_are() -> None:
    series = TimeSeries(0, 60, np.arange(4.0), np.arange(4.0)[None])
    scaled = levelled(series, (Shift(at=120, factor=0.5),))
    np.testing.assert_array_equal(scaled.values, [0.0, 0.5, 2.0, 3.0])
    assert scaled.covariates is not None
    np.testing.assert_array_equal(scaled.covariates, [[0.0, 1.0, 2.0, 3.0]])
