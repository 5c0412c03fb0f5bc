"""The gate's bookkeeping and verdicts, on evidence made by hand."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from scaler.decision import DecisionPolicy
from scaler.decision.gate import (
    GateRule,
    GateState,
    Hour,
    Issued,
    Recent,
    Standing,
    evidence,
    issue,
    judge,
    update,
)

HOUR = 3600
RULE = GateRule(quantile=0.9)
POLICY = DecisionPolicy(threshold=10.0, lead_time=180.0, headroom=1.2)
NAN = math.nan


def hours(count: int, *, with_: float, without: float, exceeded: int = 6, start: int = 0) -> tuple[Hour, ...]:
    return tuple(Hour(start + n * HOUR, 60, exceeded, with_, without) for n in range(count))


def after(state: GateState, rule: GateRule = RULE, *, hour: int) -> GateState:
    """The state when nothing but time has come, at the end of that hour."""
    return update(state, rule, Recent(hour * HOUR, 60, [0.0]), None)


class TestIssue:
    def issue(self, **changes: Any) -> Issued | None:
        given: dict[str, Any] = {
            "origin": 600,
            "step": 60,
            "peak": [100.0, 110.0, 120.0, 130.0, 140.0],
            "last": 50.0,
            "highest": 90.0,
        }
        return issue(POLICY, **(given | changes))

    def test_the_forecast_is_that_of_the_decision_s_window_and_served_as_decided(self) -> None:
        # 180 s lead and 45 s asking: four steps; the cap is twice the highest load
        assert self.issue() == Issued(600, 840, 130.0, 130.0, 60.0)
        assert self.issue(highest=55.0) == Issued(600, 840, 130.0, 110.0, 60.0)
        assert self.issue(last=120.0) == Issued(600, 840, 130.0, 144.0, 144.0)

    def test_a_forecast_shorter_than_the_window_counts_as_far_as_it_goes(self) -> None:
        assert self.issue(peak=[100.0, 110.0]) == Issued(600, 720, 110.0, 110.0, 60.0)

    @pytest.mark.parametrize("last", [NAN, math.inf, -1.0])
    def test_what_could_not_be_served_is_not_issued(self, last: float) -> None:
        assert self.issue(last=last) is None


class TestPeak:
    recent = Recent(600, 60, [1.0, 2.0, 3.0, 9.0, NAN, 4.0])  # times 300 to 600

    @pytest.mark.parametrize(
        ("after", "until", "peak"),
        [
            (300, 480, 9.0),  # the sample at its origin is not part of it
            (480, 600, None),  # half of it is missing
            (300, 600, 9.0),  # a fifth is
            (480, 540, None),  # nothing is known
            (180, 300, None),  # before what is known
        ],
    )
    def test_of_the_samples_within(self, after: int, until: int, peak: float | None) -> None:
        assert self.recent.peak(after, until) == peak


class TestUpdate:
    one = Issued(600, 720, 100.0, 100.0, 60.0)

    def test_a_forecast_is_open_until_its_window_is_over(self) -> None:
        state = update(GateState(), RULE, Recent(600, 60, [50.0]), self.one)
        assert state == GateState(open=(self.one,))
        assert update(state, RULE, Recent(660, 60, [50.0, 70.0]), None).open == (self.one,)

    @pytest.mark.parametrize(
        ("peak", "exceeded", "loss_with", "loss_without"),
        [(80.0, 0, 2.0, 18.0), (110.0, 1, 9.0, 45.0), (40.0, 0, 6.0, 2.0)],
    )
    def test_then_both_values_are_charged_by_the_quantile(
        self, peak: float, exceeded: int, loss_with: float, loss_without: float
    ) -> None:
        state = update(GateState(open=(self.one,)), RULE, Recent(720, 60, [50.0, 30.0, peak]), None)
        (hour,) = state.hours
        assert (state.open, hour.start, hour.resolved, hour.exceeded) == ((), 0, 1, exceeded)
        assert hour.loss_with == pytest.approx(loss_with)
        assert hour.loss_without == pytest.approx(loss_without)

    def test_a_peak_that_is_not_known_says_nothing(self) -> None:
        assert update(GateState(open=(self.one,)), RULE, Recent(720, 60, [50.0, NAN, 1.0]), None) == GateState()

    def test_the_same_forecast_counts_once(self) -> None:
        state = update(GateState(), RULE, Recent(600, 60, [50.0]), self.one)
        assert update(state, RULE, Recent(600, 60, [50.0]), self.one) == state

    def test_evidence_is_forgotten_by_the_hour(self) -> None:
        state = GateState(hours=hours(24, with_=1.0, without=1.0))
        assert after(state, hour=24).hours == state.hours
        assert after(state, hour=25).hours == state.hours[1:]
        assert after(state, hour=60).hours == ()

    def test_a_state_survives_being_written(self) -> None:
        state = GateState(Standing.DEMOTED, 7200, (self.one,), hours(3, with_=1.0, without=2.0))
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=GateState) == state


class TestStanding:
    def test_young_until_there_is_enough_over_long_enough(self) -> None:
        assert after(GateState(hours=hours(2, with_=9.0, without=1.0)), hour=2).standing is Standing.PROBATION
        few = GateState(hours=(Hour(0, 6, 0, 9.0, 1.0), Hour(3 * HOUR, 5, 0, 9.0, 1.0)))
        assert after(few, hour=4).standing is Standing.PROBATION
        assert after(GateState(hours=hours(3, with_=9.0, without=1.0)), hour=3).standing is Standing.DEMOTED

    @pytest.mark.parametrize(
        ("with_", "exceeded", "standing"),
        [
            (0.5, 6, Standing.TRUSTED),
            (1.0, 6, Standing.TRUSTED),
            (1.1, 6, Standing.TRUSTED),  # 9 % of it: within what a promise kept excuses
            (1.12, 6, Standing.DEMOTED),
            (1.04, 30, Standing.TRUSTED),
            (1.1, 30, Standing.DEMOTED),  # half of the peaks were higher: nothing is excused
        ],
    )
    def test_by_gain_and_promise(self, with_: float, exceeded: int, standing: Standing) -> None:
        state = GateState(hours=hours(12, with_=with_, without=1.0, exceeded=exceeded))
        assert after(state, hour=12).standing is standing

    def test_what_went_bad_lately_outweighs_a_good_day(self) -> None:
        good = hours(20, with_=1.0, without=3.0)
        turned = good + hours(4, with_=4.0, without=1.0, start=20 * HOUR)
        assert evidence(turned).gain > 0.4
        assert after(GateState(hours=turned), hour=24).standing is Standing.DEMOTED

    def test_but_not_if_it_was_a_quiet_night(self) -> None:
        good = hours(18, with_=1.0, without=3.0)
        night = good + hours(6, with_=0.4, without=0.1, start=18 * HOUR)
        assert after(GateState(hours=night), hour=24).standing is Standing.TRUSTED

    def test_the_way_back_is_longer_than_the_way_out(self) -> None:
        slightly_bad = GateState(Standing.DEMOTED, 0, hours=hours(24, with_=1.05, without=1.0))
        assert after(slightly_bad, hour=24).standing is Standing.DEMOTED
        assert after(GateState(Standing.TRUSTED, 0, hours=slightly_bad.hours), hour=24).standing is Standing.TRUSTED
        even = GateState(Standing.DEMOTED, 0, hours=hours(24, with_=1.0, without=1.0))
        assert after(even, hour=24) == GateState(Standing.TRUSTED, 24 * HOUR, (), even.hours)
        lately_bad = even.hours[:18] + hours(6, with_=1.01, without=1.0, start=18 * HOUR)
        won = hours(18, with_=0.5, without=1.0) + lately_bad[18:]
        assert after(GateState(Standing.DEMOTED, 0, hours=won), hour=24).standing is Standing.DEMOTED

    def test_a_verdict_stands_for_an_hour(self) -> None:
        bad = hours(24, with_=9.0, without=1.0)
        young = GateState(Standing.TRUSTED, 24 * HOUR - 3540, hours=bad)
        assert after(young, hour=24).standing is Standing.TRUSTED
        assert after(msgspec.structs.replace(young, since=23 * HOUR), hour=24).standing is Standing.DEMOTED

    def test_without_evidence_it_starts_anew(self) -> None:
        state = GateState(Standing.DEMOTED, 0, hours=hours(24, with_=9.0, without=1.0))
        assert after(state, hour=60) == GateState(Standing.PROBATION, 60 * HOUR)

    def test_a_load_of_nothing_forecast_as_nothing_is_no_error(self) -> None:
        state = after(GateState(hours=hours(12, with_=0.0, without=0.0, exceeded=0)), hour=12)
        assert state.standing is Standing.TRUSTED
        assert judge(state, RULE).gain == 0.0


class TestJudge:
    def test_young(self) -> None:
        made = judge(GateState(hours=hours(1, with_=9.0, without=1.0)), RULE)
        assert (made.trusted, made.gain, made.coverage) == (True, None, None)
        assert made.verdict == (
            "the forecast is on probation and takes part: 60 forecasts put to the test so far, "
            "it is judged by 12 over 3h"
        )

    def test_trusted(self) -> None:
        made = judge(GateState(Standing.TRUSTED, 0, hours=hours(24, with_=1.0, without=2.0)), RULE)
        assert (made.trusted, made.gain, made.coverage) == (True, 0.5, 0.9)
        assert made.verdict == (
            "the gate trusts the forecast: over the last 1d, it avoided 50 % of the cost of errors, "
            "and 90 % of the peaks stayed at or below it, promised are 90 %"
        )

    def test_trusted_although_it_costs_a_little(self) -> None:
        made = judge(GateState(Standing.TRUSTED, 0, hours=hours(4, with_=1.0, without=0.95)), RULE)
        assert made.verdict == (
            "the gate trusts the forecast: over the last 4h, 5 % of the cost of errors came from it, "
            "and 90 % of the peaks stayed at or below it, promised are 90 %"
        )

    def test_demoted_for_the_whole_window_or_the_last_hours(self) -> None:
        whole = hours(24, with_=4.0, without=1.0, exceeded=30)
        made = judge(GateState(Standing.DEMOTED, 0, hours=whole), RULE)
        assert (made.trusted, made.gain, made.coverage) == (False, -0.75, 0.5)
        assert made.verdict == (
            "the gate has demoted the forecast: over the last 1d, 75 % of the cost of errors came from it, "
            "and 50 % of the peaks stayed at or below it, promised are 90 %"
        )
        turned = hours(18, with_=1.0, without=3.0) + hours(6, with_=4.0, without=1.0, exceeded=0, start=18 * HOUR)
        made = judge(GateState(Standing.DEMOTED, 0, hours=turned), RULE)
        assert made.gain is not None
        assert made.gain > 0.0
        assert made.verdict == (
            "the gate has demoted the forecast: over the last 6h, 75 % of the cost of errors came from it, "
            "and 100 % of the peaks stayed at or below it, promised are 90 %"
        )
