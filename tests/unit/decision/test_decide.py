"""What is served, for every way in which load and forecast can be known or not."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from scaler.decision import HIGHEST_SERVABLE, Decision, DecisionPolicy, Outlook, Snapshot, Source, decide, stands_until
from scaler.errors import ValueUnknown, ValueUnservable

NOW = 1_000_020.0
ORIGIN = 1_000_000  # the last complete step
POLICY = DecisionPolicy(threshold=10.0, lead_time=180.0, headroom=1.2)


def outlook(**changes: Any) -> Outlook:
    made = Outlook(
        origin=ORIGIN,
        step=60,
        forecaster="auto",
        quantile=0.9,
        # window: 20 s since origin + 180 s lead + 45 s asking = 245 s: the fifth step covers it
        peak=(100.0, 110.0, 120.0, 130.0, 140.0, 150.0, 160.0),
        fitted_at=ORIGIN - 3600.0,
        highest=200.0,
    )
    return msgspec.structs.replace(made, **changes)


def snapshot(**changes: Any) -> Snapshot:
    made = Snapshot(
        trigger="shop/web/0",
        series="s",
        made_at=NOW,
        observed=100.0,
        observed_at=NOW - 5.0,
        outlook=outlook(),
    )
    return msgspec.structs.replace(made, **changes)


def policy(**changes: Any) -> DecisionPolicy:
    return msgspec.structs.replace(POLICY, **changes)


def test_a_forecast_above_the_floor_is_served() -> None:
    decision = decide(snapshot(), POLICY, now=NOW)
    assert (decision.value, decision.source) == (140.0, Source.FORECAST)
    assert decision == Decision(
        value=140.0,
        active=True,
        source=Source.FORECAST,
        observed=100.0,
        observed_age=5.0,
        floor=120.0,
        would_serve=140.0,
        forecast=140.0,
        forecast_age=20.0,
        peak_in=280.0,
        cap=400.0,
        usable=True,
    )


def test_a_forecast_below_the_floor_takes_nothing_away() -> None:
    decision = decide(snapshot(outlook=outlook(peak=(1.0,) * 7)), POLICY, now=NOW)
    assert (decision.value, decision.source, decision.usable) == (120.0, Source.OBSERVED, True)


def test_the_window_grows_with_the_age_of_the_forecast() -> None:
    decision = decide(snapshot(observed_at=NOW + 60), POLICY, now=NOW + 60)
    assert decision.forecast == 150.0


def test_a_window_beyond_the_horizon_uses_all_of_the_horizon() -> None:
    decision = decide(snapshot(), policy(lead_time=3600.0), now=NOW)
    assert decision.forecast == 160.0


def test_a_clock_behind_the_origin_looks_at_one_step_at_least() -> None:
    decision = decide(snapshot(observed_at=NOW - 500.0), policy(lead_time=1.0), now=NOW - 600.0)
    assert (decision.forecast, decision.observed_age) == (100.0, 0.0)


def test_a_forecast_from_the_future_is_not_served() -> None:
    decision = decide(snapshot(observed_at=NOW - 600.0), POLICY, now=NOW - 600.0)
    assert (decision.value, decision.usable) == (120.0, False)
    assert decision.hindrance == "the forecast is from 9m40s ahead of this machine's clock: was the clock set back?"


def test_the_peak_is_reached_where_the_curve_flattens() -> None:
    flat = outlook(peak=(100.0, 140.0, 140.0, 140.0, 140.0, 140.0, 140.0))
    assert decide(snapshot(outlook=flat), POLICY, now=NOW).peak_in == ORIGIN + 2 * 60 - NOW


def test_the_cap_is_a_multiple_of_the_highest_load() -> None:
    decision = decide(snapshot(outlook=outlook(peak=(1000.0,) * 7)), POLICY, now=NOW)
    assert (decision.value, decision.source, decision.cap) == (400.0, Source.CAP, 400.0)


def test_the_observed_load_counts_for_the_cap() -> None:
    decision = decide(snapshot(observed=300.0, outlook=outlook(peak=(1000.0,) * 7)), POLICY, now=NOW)
    assert decision.cap == 600.0


def test_a_cap_never_cuts_the_floor() -> None:
    decision = decide(snapshot(outlook=outlook(peak=(1000.0,) * 7, highest=1.0)), policy(max_factor=1.0), now=NOW)
    assert (decision.value, decision.source, decision.cap) == (120.0, Source.OBSERVED, 100.0)


def test_the_rise_is_limited_per_minute_of_the_window() -> None:
    decision = decide(snapshot(outlook=outlook(peak=(390.0,) * 7)), policy(max_rise=0.1), now=NOW)
    assert decision.cap == 100.0 + 0.1 * 200.0 * 225.0 / 60.0
    assert decision.source is Source.CAP


def test_without_a_forecast_the_floor_is_served_and_the_note_says_why() -> None:
    decision = decide(snapshot(outlook=None, note="auto needs 60 known samples"), POLICY, now=NOW)
    assert (decision.value, decision.source, decision.usable) == (120.0, Source.OBSERVED, False)
    assert decision.hindrance == "auto needs 60 known samples"
    assert decide(snapshot(outlook=None), POLICY, now=NOW).hindrance == "there is no forecast yet"


def test_a_forecast_that_the_gate_distrusts_is_shown_not_served() -> None:
    decision = decide(snapshot(outlook=outlook(trusted=False, verdict="worse than persistence")), POLICY, now=NOW)
    assert (decision.value, decision.forecast, decision.hindrance) == (120.0, 140.0, "worse than persistence")
    decision = decide(snapshot(outlook=outlook(trusted=False)), POLICY, now=NOW)
    assert decision.hindrance == "the gate does not trust the forecast"


def test_an_old_forecast_is_not_served() -> None:
    later = ORIGIN + 241.0
    decision = decide(snapshot(observed_at=later), POLICY, now=later)
    assert (decision.value, decision.usable) == (120.0, False)
    assert decision.hindrance == "the forecast is 4m1s old, older than the 4m that one is good for"


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_forecast_that_is_no_load_is_not_served(value: float) -> None:
    decision = decide(snapshot(outlook=outlook(peak=(value,) * 7)), POLICY, now=NOW)
    assert (decision.value, decision.usable) == (120.0, False)
    assert decision.hindrance == f"the forecast is {value}, no load"


def test_observe_mode_serves_what_is_observed_and_records_the_rest() -> None:
    decision = decide(snapshot(), policy(observe_only=True), now=NOW)
    assert (decision.value, decision.would_serve, decision.source) == (100.0, 140.0, Source.OBSERVE_MODE)


class TestUnknown:
    def test_before_the_first_answer(self) -> None:
        with pytest.raises(ValueUnknown) as caught:
            decide(snapshot(observed=None, observed_at=0.0), POLICY, now=NOW)
        assert str(caught.value) == "the load is not known yet: the first answer of the source is awaited"

    def test_before_the_first_answer_with_the_cause(self) -> None:
        with pytest.raises(ValueUnknown) as caught:
            decide(snapshot(observed=None, observed_at=0.0, error="connection refused"), POLICY, now=NOW)
        assert str(caught.value) == "the load is not known yet: connection refused"

    def test_too_old(self) -> None:
        with pytest.raises(ValueUnknown) as caught:
            decide(snapshot(observed_at=NOW - 301.0, error="connection refused"), POLICY, now=NOW)
        assert str(caught.value) == (
            "the load is not known: the last value is 5m1s old, older than the 5m that a value is good for: "
            "connection refused"
        )

    def test_from_a_clock_that_was_set_back(self) -> None:
        with pytest.raises(ValueUnknown) as caught:
            decide(snapshot(observed_at=NOW + 3600.0, error="connection refused"), POLICY, now=NOW)
        assert str(caught.value) == (
            "the load is not known: the last value is from 1h ahead of this machine's clock, was the clock set back?: "
            "connection refused"
        )

    def test_a_little_ahead_is_now(self) -> None:
        assert decide(snapshot(observed_at=NOW + 300.0), POLICY, now=NOW).observed_age == 0.0

    def test_old_enough_is_still_good(self) -> None:
        assert decide(snapshot(observed_at=NOW - 300.0), POLICY, now=NOW).value == 140.0


class TestUnservable:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -0.5])
    def test_no_load(self, value: float) -> None:
        with pytest.raises(ValueUnservable) as caught:
            decide(snapshot(observed=value), POLICY, now=NOW)
        assert str(caught.value) == (
            f"the query gives {value}: a load is a finite number of at least 0, mend the query"
        )

    def test_too_large(self) -> None:
        with pytest.raises(ValueUnservable) as caught:
            decide(snapshot(observed=1e16), POLICY, now=NOW)
        assert str(caught.value) == (
            "the query gives 1e+16: the HPA cannot count beyond 9e+15, "
            "divide the query and the threshold by the same number"
        )

    def test_a_forecast_is_cut_to_what_the_hpa_can_count(self) -> None:
        decision = decide(snapshot(outlook=outlook(peak=(1e17,) * 7, highest=1e17)), POLICY, now=NOW)
        assert decision.value == HIGHEST_SERVABLE


class TestActive:
    def test_above_the_threshold_by_what_is_observed(self) -> None:
        assert decide(snapshot(observed=5.1, outlook=None), policy(activation_threshold=5.0), now=NOW).active

    def test_headroom_does_not_activate(self) -> None:
        assert not decide(snapshot(observed=5.0, outlook=None), policy(activation_threshold=5.0), now=NOW).active

    def test_a_coming_load_wakes_the_workload(self) -> None:
        assert decide(snapshot(observed=0.0), policy(activation_threshold=5.0), now=NOW).active

    def test_the_upper_quantile_of_next_to_nothing_does_not(self) -> None:
        asleep = outlook(peak=(0.9,) * 7)
        assert not decide(snapshot(observed=0.0, outlook=asleep), POLICY, now=NOW).active

    def test_not_in_observe_mode(self) -> None:
        assert not decide(snapshot(observed=0.0), policy(observe_only=True), now=NOW).active

    def test_not_by_a_forecast_that_is_not_trusted(self) -> None:
        assert not decide(snapshot(observed=0.0, outlook=outlook(trusted=False)), POLICY, now=NOW).active


@pytest.mark.parametrize("origin", [ORIGIN - 300, ORIGIN - 61, ORIGIN, ORIGIN + 45, ORIGIN + 90])
def test_a_decision_stands_until_time_alone_may_change_it(origin: int) -> None:
    """Second by second: it is the same until then, and where it is another right after, that was said."""
    known = snapshot(outlook=outlook(origin=origin))
    policy = msgspec.structs.replace(POLICY, observed_max_age=1e6)
    stands, before, changes = -math.inf, None, 0
    for now in range(int(NOW), int(NOW) + 600):
        decision = decide(known, policy, now=now)
        answer = (decision.value, decision.active, decision.source)
        if now <= stands:
            assert answer == before
        elif answer != before:
            changes += 1
        stands, before = stands_until(known.outlook, policy, now=now), answer
        assert stands >= now
    assert changes <= 9
    assert stands_until(None, policy, now=NOW) == math.inf
