from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.adaptive import RANK_LEVELS, AdaptiveRule, corrected_level, knots, offset_after, ranks_of, weights
from forecasting.calibration import future, running_maximum
from forecasting.errors import InvalidParameter
from forecasting.models.seasonal_profile import SeasonalProfile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from forecasting.series import FloatArray, TimeSeries

_RULE = AdaptiveRule(level=0.9, rate=0.1, memory=100)


def _logit(level: float) -> float:
    return math.log(level / (1 - level))


def _served(
    rule: AdaptiveRule, ranked: FloatArray, table: FloatArray, came: FloatArray, steps: int, *, every: int = 360
) -> FloatArray:
    """What is forecast row by row, corrected now and then by what came of the rows of two such periods before.

    `ranked` holds the quantiles at RANK_LEVELS, `table` those at the knots.
    """
    out = np.full(came.size, np.nan)
    for first in range(0, came.size, every):
        before = slice(max(0, first - 2 * every), max(0, first - steps))
        offset = offset_after(ranks_of(came[before], ranked[before]), rule, steps=steps)
        rows = slice(first, first + every)
        out[rows] = table[rows] @ np.array(weights(offset, rule))
    return out


def _pinball(level: float, forecast: FloatArray, came: FloatArray) -> float:
    miss = came - forecast
    return float(np.nanmean(np.maximum(level * miss, (level - 1) * miss)))


def _ranks(*outcomes: float) -> NDArray[np.uint16]:
    """Of outcomes among quantiles that are the levels' log-odds."""
    odds = np.log(np.array(RANK_LEVELS) / (1 - np.array(RANK_LEVELS)))
    return ranks_of(np.array(outcomes), np.tile(odds, (len(outcomes), 1)))


def _offset(outcomes: Sequence[float], rule: AdaptiveRule = _RULE, steps: int = 1) -> float:
    return offset_after(_ranks(*outcomes), rule, steps=steps)


_HIGH, _LOW = 99.0, -99.0


def test_without_experience_the_level_is_the_promised_one() -> None:
    assert offset_after(np.empty(0, dtype=np.uint16), _RULE, steps=1) == 0.0
    assert corrected_level(0.0, _RULE) == 0.9
    assert weights(0.0, _RULE) == (0.0, 1.0, 0.0, 0.0)


def test_the_knots_reach_as_far_as_corrections_do() -> None:
    assert knots(_RULE) == pytest.approx((0.8752, 0.9, 0.9369, 0.9607), abs=1e-4)
    quantiles = (0.0, 10.0, 20.0, 40.0)
    read = [np.dot(weights(offset, _RULE), quantiles) for offset in (-9.0, -0.125, 0.25, 0.75, 9.0)]
    assert read == pytest.approx([0.0, 5.0, 15.0, 30.0, 40.0])


def test_ranks_are_log_odds() -> None:
    assert _ranks(_LOW, _HIGH).tolist() == [0, 65535]
    assert ((_ranks(0.0, 0.5, 2.0, 4.0).astype(float) - 32768) / 4096).tolist() == pytest.approx([0.0, 0.5, 2.0, 4.0])


def test_an_outcome_that_was_forecast_exactly_was_not_exceeded() -> None:
    nothing = ranks_of(np.zeros(1), np.zeros((1, len(RANK_LEVELS))))
    assert nothing.tolist() == [0]
    assert _offset([_logit(0.9)]) == _offset([_LOW]) < 0.0 < _offset([_logit(0.9) + 0.001]) == _offset([_HIGH])


@pytest.mark.parametrize("level", [*RANK_LEVELS, 0.6, 0.91, 0.999])
def test_for_any_level_what_lies_below_is_covered(level: float) -> None:
    rule = AdaptiveRule(level=level)
    below = _offset([_logit(level) - 0.01], rule)
    assert below < 0.0
    above = min(_logit(level) + 0.01, _HIGH) if level < 0.995 else _HIGH
    assert _offset([above], rule) > 0.0


def test_being_exceeded_raises_the_level_and_being_right_lowers_it_a_little() -> None:
    assert _offset([_HIGH]) == pytest.approx(0.09)
    assert _offset([_LOW]) == pytest.approx(-0.01)
    assert _logit(corrected_level(0.09, _RULE)) - _logit(0.9) == pytest.approx(0.09)


def test_what_is_exceeded_only_a_little_is_soon_covered() -> None:
    assert _offset([_logit(0.9) + 0.3] * 100) == pytest.approx(0.3, abs=0.1)
    assert _offset([_HIGH] * 100) == 1.0


def test_overlapping_windows_together_teach_what_one_would() -> None:
    assert _offset([_HIGH] * 15, steps=15) == pytest.approx(_offset([_HIGH]), rel=0.01)


def test_a_correction_fades() -> None:
    rule = AdaptiveRule(level=0.5, memory=50)
    raised = [_HIGH] * 30
    balanced = [_HIGH, _LOW] * 50  # as often right as wrong: nothing to learn
    assert _offset(raised + balanced, rule) == pytest.approx(_offset(raised, rule) * math.exp(-2), abs=0.05)


@pytest.mark.parametrize(("quantile", "outcome"), [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (1.0, -math.inf)])
def test_what_was_not_seen_teaches_nothing(quantile: float, outcome: float) -> None:
    quantiles = np.ones((1, len(RANK_LEVELS)))
    quantiles[0, -1] = quantile
    assert ranks_of(np.array([outcome]), quantiles).tolist() == []


@given(
    level=st.floats(0.001, 0.999),
    rate=st.floats(0, 1),
    reach=st.floats(0.01, 5),
    reach_down=st.floats(0.01, 5),
    memory=st.floats(1, 1e9),
    seen=st.lists(st.integers(0, 65535), max_size=60),
    steps=st.integers(1, 100),
)
def test_the_level_stays_within_reach_whatever_comes(
    level: float, rate: float, reach: float, reach_down: float, memory: float, seen: list[int], steps: int
) -> None:
    rule = AdaptiveRule(level=level, rate=rate, reach=reach, reach_down=reach_down, memory=memory)
    offset = offset_after(np.array(seen, dtype=np.uint16), rule, steps=steps)
    corrected = corrected_level(offset, rule)
    assert 0.0 < corrected < 1.0
    # a level of 0 or 1 within rounding is kept from it by a millionth
    moved = _logit(corrected) - _logit(level)
    assert -reach_down - 1e-6 <= moved <= reach + 1e-6 or corrected in (1e-6, 1 - 1e-6)
    assert sum(weights(offset, rule)) == pytest.approx(1.0)


def test_the_promise_is_kept_through_a_drift_of_the_scatter() -> None:
    random = np.random.default_rng(4)
    n = 6000
    scatter = np.where(np.arange(n) < n // 3, 1.0, 1.3)
    came = random.normal(size=n) * scatter
    before = random.normal(size=200_000)  # calibrated before the drift
    ranked, table = (np.tile(np.quantile(before, levels), (n, 1)) for levels in (RANK_LEVELS, knots(_RULE)))
    plain = _served(AdaptiveRule(level=0.9, rate=0.0), ranked, table, came, 5)
    faithful, gentle = (
        _served(rule, ranked, table, came, 5)
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
def test_on_real_traces_coverage_gains_and_that_costs_little(trace: Callable[[str], TimeSeries], name: str) -> None:
    series = trace(name)
    first, steps = int(len(series) * 0.6), max(1, 240 // series.step)
    levels = tuple(sorted({*RANK_LEVELS, *knots(_RULE)}))
    fitted = SeasonalProfile().fit(series.first(first), horizon=steps, levels=levels)
    origins = np.arange(first - 1, len(series) - steps)
    peak = fitted.predict_many(series, origins, horizon=steps, levels=levels).peak[:, :, -1]
    ranked, table = (peak[:, [levels.index(one) for one in some]] for some in (RANK_LEVELS, knots(_RULE)))
    came = running_maximum(future(series.values, origins, steps))[:, -1]
    plain, adaptive = (
        _served(rule, ranked, table, came, steps, every=21600 // series.step)
        for rule in (AdaptiveRule(level=0.9, rate=0.0), AdaptiveRule(level=0.9))
    )
    known = ~np.isnan(came) & ~np.isnan(plain) & ~np.isnan(adaptive)
    off = [abs(float((came[known] <= served[known]).mean()) - 0.9) for served in (plain, adaptive)]
    assert off[1] < off[0] + 0.005
    assert off[1] < 0.04
    assert _pinball(0.9, adaptive, came) < 1.015 * _pinball(0.9, plain, came)  # 1.3 % on pool_c20_schedule


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"level": 1.0}, "level must lie strictly between 0 and 1, not 1"),
        ({"level": 0.9, "rate": 2.0}, "rate must lie between 0 and 1, not 2"),
        ({"level": 0.9, "memory": 0.5}, "memory must be 1 window or more, not 0.5"),
        ({"level": 0.9, "reach": -1.0}, "reach must lie between 0.01 and 5, not -1"),
        ({"level": 0.9, "reach_down": 6.0}, "reach_down must lie between 0.01 and 5, not 6"),
    ],
)
def test_rules_out_of_range_are_refused(wrong: dict[str, float], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        AdaptiveRule(**wrong)
    assert str(caught.value) == text


def test_a_window_has_a_step_at_least() -> None:
    with pytest.raises(InvalidParameter) as caught:
        _offset([1.0], steps=0)
    assert str(caught.value) == "steps must be 1 or more, not 0"
