from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.adaptive import Adaptation, AdaptiveRule, Coverage, HourOfOutcomes, corrected_level, coverage, learned
from forecasting.calibration import future, running_maximum
from forecasting.errors import InvalidParameter
from forecasting.models.seasonal_profile import SeasonalProfile
from forecasting.quantiles import depth

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.series import FloatArray, TimeSeries

_START = 1_700_006_400
_RULE = AdaptiveRule(level=0.9)
_LEVELS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99)


def _logit(level: float) -> float:
    return math.log(level / (1 - level))


def _served(rule: AdaptiveRule, table: FloatArray, came: FloatArray, steps: int) -> FloatArray:
    """What is forecast row by row, each learned from `steps` rows later; `table` holds the quantiles at _LEVELS."""
    state = Adaptation()
    out = np.full(came.size, np.nan)
    for i in range(came.size):
        j = i - steps
        if j >= 0:
            state = learned(
                state, rule, at=_START + 60 * i, forecast=float(out[j]), outcome=float(came[j]), steps=steps
            )
        out[i] = np.interp(float(depth(corrected_level(state, rule))), depth(_LEVELS), table[i])
    return out


def _pinball(level: float, forecast: FloatArray, came: FloatArray) -> float:
    miss = came - forecast
    return float(np.nanmean(np.maximum(level * miss, (level - 1) * miss)))


def test_without_experience_the_level_is_the_promised_one() -> None:
    assert corrected_level(Adaptation(), _RULE) == 0.9
    assert coverage(Adaptation(), _RULE) == Coverage(promised=0.9, resolved=0, share=None, level=0.9)


def test_being_exceeded_raises_the_level_and_being_right_lowers_it_a_little() -> None:
    exceeded = learned(Adaptation(), _RULE, at=_START, forecast=1.0, outcome=2.0, steps=1)
    right = learned(Adaptation(), _RULE, at=_START, forecast=2.0, outcome=2.0, steps=1)
    assert _logit(corrected_level(exceeded, _RULE)) - _logit(0.9) == pytest.approx(0.09)
    assert _logit(corrected_level(right, _RULE)) - _logit(0.9) == pytest.approx(-0.01)


def test_overlapping_windows_together_teach_what_one_would() -> None:
    one = learned(Adaptation(offset=0.2), _RULE, at=_START, forecast=1.0, outcome=2.0, steps=1)
    many = Adaptation(offset=0.2)
    for _ in range(15):
        many = learned(many, _RULE, at=_START, forecast=1.0, outcome=2.0, steps=15)
    assert many.offset == pytest.approx(one.offset, rel=0.01)


def test_a_correction_fades() -> None:
    rule = AdaptiveRule(level=0.5, memory=50)
    state = Adaptation(offset=1.0)
    for i in range(100):  # as often right as wrong: nothing to learn
        state = learned(state, rule, at=_START, forecast=1.0, outcome=float(i % 2) + 0.5, steps=1)
    assert state.offset == pytest.approx(math.exp(-2), abs=0.05)


@pytest.mark.parametrize(("forecast", "outcome"), [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (1.0, -math.inf)])
def test_what_was_not_seen_teaches_nothing(forecast: float, outcome: float) -> None:
    state = Adaptation(offset=0.1)
    assert learned(state, _RULE, at=_START, forecast=forecast, outcome=outcome, steps=3) is state


def test_coverage_is_counted_by_the_hour_over_the_window() -> None:
    rule = AdaptiveRule(level=0.9, window=7200)
    state = Adaptation()
    for minutes, outcome in ((0, 0.0), (30, 5.0), (70, 0.0), (130, 0.0), (150, 0.0)):
        state = learned(state, rule, at=_START + 60 * minutes, forecast=1.0, outcome=outcome, steps=1)
    assert state.hours == (
        HourOfOutcomes(start=_START, resolved=2, covered=1),
        HourOfOutcomes(start=_START + 3600, resolved=1, covered=1),
        HourOfOutcomes(start=_START + 7200, resolved=2, covered=2),
    )
    seen = coverage(state, rule)
    assert (seen.resolved, seen.share) == (5, 0.8)
    later = learned(state, rule, at=_START + 60 * 190, forecast=1.0, outcome=0.0, steps=1)
    assert [hour.start - _START for hour in later.hours] == [3600, 7200, 10800]


def test_coverage_is_counted_where_the_level_is_not_corrected() -> None:
    rule = AdaptiveRule(level=0.9, rate=0.0)
    state = learned(Adaptation(), rule, at=_START, forecast=1.0, outcome=2.0, steps=1)
    assert corrected_level(state, rule) == 0.9
    assert coverage(state, rule).share == 0.0


@given(
    level=st.floats(0.001, 0.999),
    rate=st.floats(0, 1),
    reach=st.floats(0, 5),
    reach_down=st.floats(0, 5),
    memory=st.floats(1, 1e9),
    offset=st.floats(),
    seen=st.lists(st.tuples(st.floats(), st.floats(), st.integers(1, 100)), max_size=40),
)
def test_the_level_stays_within_reach_whatever_comes(
    level: float,
    rate: float,
    reach: float,
    reach_down: float,
    memory: float,
    offset: float,
    seen: list[tuple[float, float, int]],
) -> None:
    rule = AdaptiveRule(level=level, rate=rate, reach=reach, reach_down=reach_down, memory=memory)
    state = Adaptation(offset=offset)
    for i, (forecast, outcome, steps) in enumerate(seen):
        state = learned(state, rule, at=_START + 60 * i, forecast=forecast, outcome=outcome, steps=steps)
        assert 0.0 <= (coverage(state, rule).share or 0.0) <= 1.0
    corrected = corrected_level(state, rule)
    assert 0.0 < corrected < 1.0
    # a level of 0 or 1 within rounding is kept from it by a millionth
    moved = _logit(corrected) - _logit(level)
    assert -reach_down - 1e-6 <= moved <= reach + 1e-6 or corrected in (1e-6, 1 - 1e-6)


def test_a_state_survives_storing() -> None:
    state = learned(Adaptation(), _RULE, at=_START, forecast=1.0, outcome=2.0, steps=7)
    assert msgspec.json.decode(msgspec.json.encode(state), type=Adaptation) == state


def test_the_promise_is_kept_through_a_drift_of_the_scatter() -> None:
    random = np.random.default_rng(4)
    n = 6000
    scatter = np.where(np.arange(n) < n // 3, 1.0, 1.3)
    came = random.normal(size=n) * scatter
    quantiles = np.quantile(random.normal(size=200_000), _LEVELS)  # calibrated before the drift
    table = np.broadcast_to(quantiles, (n, quantiles.size))
    plain = _served(AdaptiveRule(level=0.9, rate=0.0), table, came, 5)
    faithful, gentle = (
        _served(rule, table, came, 5)
        for rule in (AdaptiveRule(level=0.9, rate=0.2, memory=1e6), AdaptiveRule(level=0.9))
    )
    after = slice(n // 2, None)
    covered = [float((came[after] <= served[after]).mean()) for served in (plain, gentle, faithful)]
    assert covered[0] < 0.86
    assert covered[0] + 0.01 < covered[1] < covered[2]
    assert covered[2] == pytest.approx(0.9, abs=0.02)
    losses = [_pinball(0.9, served[after], came[after]) for served in (plain, gentle, faithful)]
    assert max(losses[1:]) < losses[0]


@pytest.mark.parametrize("name", ["nasa_http_jul95", "pool_c20_schedule", "tweets_aapl"])
def test_on_real_traces_it_costs_nothing_and_coverage_gains(trace: Callable[[str], TimeSeries], name: str) -> None:
    series = trace(name)
    first, steps = int(len(series) * 0.6), 900 // series.step
    fitted = SeasonalProfile().fit(series.first(first), horizon=steps, levels=_LEVELS)
    origins = np.arange(first - 1, len(series) - steps)
    table = fitted.predict_many(series, origins, horizon=steps, levels=_LEVELS).peak[:, :, -1]
    came = running_maximum(future(series.values, origins, steps))[:, -1]
    plain, adaptive = (
        _served(rule, table, came, steps) for rule in (AdaptiveRule(level=0.9, rate=0.0), AdaptiveRule(level=0.9))
    )
    known = ~np.isnan(came) & ~np.isnan(plain) & ~np.isnan(adaptive)
    off = [abs(float((came[known] <= served[known]).mean()) - 0.9) for served in (plain, adaptive)]
    assert off[1] < off[0] + 0.005
    assert off[1] < 0.04
    assert _pinball(0.9, adaptive, came) < 1.01 * _pinball(0.9, plain, came)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"level": 1.0}, "level must lie strictly between 0 and 1, not 1"),
        ({"level": 0.9, "rate": 2.0}, "rate must lie between 0 and 1, not 2"),
        ({"level": 0.9, "memory": 0.5}, "memory must be 1 window or more, not 0.5"),
        ({"level": 0.9, "reach": -1.0}, "reach must lie between 0 and 5, not -1"),
        ({"level": 0.9, "reach_down": 6.0}, "reach_down must lie between 0 and 5, not 6"),
        ({"level": 0.9, "window": 60}, "window must be 3600 s or more, not 60"),
    ],
)
def test_rules_out_of_range_are_refused(wrong: dict[str, float], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        AdaptiveRule(**wrong)  # type: ignore[arg-type]  # what settings may say
    assert str(caught.value) == text
    with pytest.raises(InvalidParameter) as caught:
        learned(Adaptation(), _RULE, at=_START, forecast=1.0, outcome=1.0, steps=0)
    assert str(caught.value) == "steps must be 1 or more, not 0"
