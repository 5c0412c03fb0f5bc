"""Whatever loads and forecasts come: figures are numbers, verdicts stand, and nothing later is looked at."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision import DecisionPolicy
from scaler.decision.gate import GateRule, GateState, Recent, Standing, issue, judge, update

STEP = 1800
POLICY = DecisionPolicy(threshold=1.0, lead_time=3600.0, asking_delay=0.0)

loads = st.one_of(st.floats(0.0, 1e15), st.just(0.0), st.just(math.nan))
days = st.lists(st.tuples(loads, st.one_of(st.none(), st.floats(0.0, 1e15))), min_size=1, max_size=150)


def states(day: list[tuple[float, float | None]], rule: GateRule) -> list[GateState]:
    state, made, values = GateState(), [], [load for load, _ in day]
    for n, (load, forecast) in enumerate(day):
        issued = None
        if forecast is not None:
            issued = issue(POLICY, origin=n * STEP, step=STEP, peak=[forecast] * 3, last=load, highest=1e3)
        state = update(state, rule, Recent(n * STEP, STEP, values[: n + 1]), issued)
        made.append(state)
    return made


@given(days, st.sampled_from([0.5, 0.9, 0.99]))
def test_every_figure_is_a_number_and_every_verdict_a_sentence(
    day: list[tuple[float, float | None]], quantile: float
) -> None:
    rule = GateRule(quantile=quantile)
    for state in states(day, rule):
        made = judge(state, rule)
        assert made.trusted is (state.standing is not Standing.DEMOTED)
        assert "nan" not in made.verdict
        if made.gain is not None and made.coverage is not None:
            assert -1.0 <= made.gain <= 1.0
            assert 0.0 <= made.coverage <= 1.0
        assert len(state.open) <= 2
        assert len(state.hours) <= 25


@given(days)
def test_a_verdict_stands_and_changes_only_for_a_reason(day: list[tuple[float, float | None]]) -> None:
    rule = GateRule(quantile=0.9)
    since, before = 0, Standing.PROBATION
    for n, state in enumerate(states(day, rule)):
        if state.standing is before:
            continue
        gain = judge(state, rule).gain
        if before is not Standing.PROBATION and gain is not None:
            assert n * STEP - since >= rule.stands
        if (before, state.standing) == (Standing.DEMOTED, Standing.TRUSTED):
            assert gain is not None
            assert gain >= rule.restore_from
        since, before = n * STEP, state.standing


@given(days, st.data())
def test_a_load_that_is_not_over_yet_changes_nothing(
    day: list[tuple[float, float | None]], data: st.DataObject
) -> None:
    rule = GateRule(quantile=0.9)
    cut = data.draw(st.integers(1, len(day)))
    assert states(day[:cut], rule) == states(day, rule)[:cut]


@given(st.lists(st.floats(0.0, 1e6), min_size=30, max_size=150))
def test_a_forecast_that_never_exceeds_the_floor_is_never_demoted(values: list[float]) -> None:
    rule = GateRule(quantile=0.9)
    assert all(state.standing is not Standing.DEMOTED for state in states([(load, load) for load in values], rule))
