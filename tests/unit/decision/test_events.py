"""What announced events ask for, and what becomes of it in a decision."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scaler.decision import HIGHEST_SERVABLE, DecisionPolicy, Occurrence, Outlook, Snapshot, Source, decide, reason
from scaler.decision.events import Asked, ask, base
from scaler.errors import ValueUnknown

NOW = 1_000_000.0
POLICY = DecisionPolicy(threshold=10.0, lead_time=180.0, asking_delay=45.0, headroom=1.2, max_factor=2.0)
LAUNCH = Occurrence(
    start=NOW + 100.0,
    end=NOW + 700.0,
    factor=2.0,
    floor=0.0,
    name="launch",
    until="2026-11-27 18:00 Europe/Berlin",
)


def event(**changes: Any) -> Occurrence:
    return msgspec.structs.replace(LAUNCH, **changes)


def outlook(**changes: Any) -> Outlook:
    made = Outlook(
        origin=int(NOW), step=60, forecaster="auto", quantile=0.9, peak=(140.0,) * 8, fitted_at=NOW, highest=200.0
    )
    return msgspec.structs.replace(made, **changes)


def snapshot(*events: Occurrence, **changes: Any) -> Snapshot:
    made = Snapshot(
        trigger="shop/web/0",
        series="s",
        made_at=NOW,
        observed=100.0,
        observed_at=NOW,
        outlook=outlook(),
        events=events,
    )
    return msgspec.structs.replace(made, **changes)


def policy(**changes: Any) -> DecisionPolicy:
    return msgspec.structs.replace(POLICY, **changes)


class TestAsk:
    @pytest.mark.parametrize(
        ("start", "end", "counts"),
        [
            (NOW - 10.0, NOW, False),  # over at this moment
            (NOW - 10.0, NOW + 0.1, True),
            (NOW, NOW + 1.0, True),
            (NOW + 225.0, NOW + 999.0, True),  # starts at the last moment of the window
            (NOW + 225.1, NOW + 999.0, False),
        ],
    )
    def test_an_event_counts_while_it_touches_the_window(self, *, start: float, end: float, counts: bool) -> None:
        asked = ask([event(start=start, end=end)], now=NOW, window=225.0, load=50.0)
        assert asked.value == (100.0 if counts else 0.0)

    def test_the_highest_answer_counts_and_factors_are_not_multiplied(self) -> None:
        events = [event(factor=3.0), event(factor=2.0, name="other"), event(factor=1.0, floor=120.0, name="floor")]
        assert ask(events, now=NOW, window=225.0, load=50.0) == Asked(150.0, 120.0, events[0])
        assert ask(events, now=NOW, window=225.0, load=30.0) == Asked(120.0, 120.0, events[2])

    def test_nothing_asks_for_nothing(self) -> None:
        assert ask([], now=NOW, window=225.0, load=50.0) == Asked(0.0, 0.0, None)
        assert ask([LAUNCH], now=NOW, window=225.0, load=0.0) == Asked(0.0, 0.0, None)

    @pytest.mark.parametrize(
        ("load", "asked"),
        [
            (100.0, 200.0),  # the launch's load has not come yet: twice what there would be without it
            (150.0, 200.0),  # some of it has come
            (200.0, 200.0),  # all of it: not four times the load
            (260.0, 260.0),  # more than was announced: the load itself
            (80.0, 160.0),  # less than before: never more than twice what there is
        ],
    )
    def test_a_factor_counts_once(self, load: float, asked: float) -> None:
        running = event(start=NOW - 60.0, base=100.0)
        assert ask([running], now=NOW, window=225.0, load=load).value == asked

    def test_before_its_start_a_factor_counts_in_full_whatever_the_base(self) -> None:
        assert ask([event(base=10.0)], now=NOW, window=225.0, load=100.0).value == 200.0


class TestBase:
    def test_it_stays_while_the_event_may_explain_the_load(self) -> None:
        assert base([100.0, 150.0, 200.0, 130.0], before=100.0, factor=2.0) == 100.0

    def test_it_rises_when_the_load_is_more_than_the_event_explains(self) -> None:
        assert base([260.0], before=100.0, factor=2.0) == 130.0

    def test_it_falls_with_a_load_below_it(self) -> None:
        assert base([60.0, 100.0], before=100.0, factor=2.0) == 60.0

    def test_without_samples_it_is_the_load_before(self) -> None:
        assert base([], before=100.0, factor=2.0) == 100.0


class TestDecide:
    def test_a_factor_multiplies_the_forecast(self) -> None:
        decision = decide(snapshot(LAUNCH), POLICY, now=NOW)
        assert (decision.value, decision.source, decision.active) == (280.0, Source.EVENT, True)
        assert (decision.asked, decision.event, decision.usable) == (280.0, LAUNCH, True)
        assert reason(decision, POLICY, snapshot(LAUNCH)) == (
            "serving 280: the 0.9-quantile of the peak within 3m45s (auto) is 140, raised x2 by event 'launch', "
            "until 2026-11-27 18:00 Europe/Berlin; the floor is 1.2 x observed 100"
        )

    def test_the_forecast_is_capped_and_the_event_is_not(self) -> None:
        capped = snapshot(LAUNCH, outlook=outlook(peak=(900.0,) * 8))
        decision = decide(capped, POLICY, now=NOW)
        assert (decision.value, decision.cap) == (800.0, 400.0)
        assert reason(decision, POLICY, capped) == (
            "serving 800: the 0.9-quantile of the peak within 3m45s (auto) is 900, cut to 400, raised x2 by event "
            "'launch', until 2026-11-27 18:00 Europe/Berlin; the floor is 1.2 x observed 100"
        )

    def test_without_a_forecast_a_factor_multiplies_the_observed_load(self) -> None:
        young = snapshot(LAUNCH, outlook=None, note="the first fit is under way")
        decision = decide(young, POLICY, now=NOW)
        assert (decision.value, decision.source) == (200.0, Source.EVENT)
        assert reason(decision, POLICY, young) == (
            "serving 200: observed 100, raised x2 by event 'launch', until 2026-11-27 18:00 Europe/Berlin; no forecast "
            "takes part, because the first fit is under way; the floor is 1.2 x observed 100"
        )

    def test_a_forecast_that_is_not_trusted_is_not_multiplied(self) -> None:
        doubted = snapshot(LAUNCH, outlook=outlook(trusted=False, verdict="worse than persistence"))
        decision = decide(doubted, POLICY, now=NOW)
        assert (decision.value, decision.usable) == (200.0, False)
        assert "because worse than persistence" in reason(decision, POLICY, doubted)

    def test_a_forecast_below_the_observed_load_takes_nothing_away(self) -> None:
        low = snapshot(LAUNCH, outlook=outlook(peak=(20.0,) * 8))
        decision = decide(low, POLICY, now=NOW)
        assert decision.value == 200.0
        assert reason(decision, POLICY, low) == (
            "serving 200: observed 100, raised x2 by event 'launch', until 2026-11-27 18:00 Europe/Berlin; "
            "the floor is 1.2 x observed 100"
        )

    def test_an_event_never_goes_below_the_observed_floor_nor_the_forecast(self) -> None:
        small = snapshot(event(factor=1.1), outlook=None, note="young")
        decision = decide(small, POLICY, now=NOW)
        assert (decision.value, decision.source) == (120.0, Source.OBSERVED)
        assert decision.asked == pytest.approx(110.0)
        running = snapshot(event(start=NOW - 60.0, base=10.0))
        decision = decide(running, POLICY, now=NOW)
        assert (decision.value, decision.source, decision.asked) == (140.0, Source.FORECAST, 140.0)
        assert reason(decision, POLICY, running).startswith("serving 140: the 0.9-quantile of the peak")

    def test_a_running_event_is_held_at_its_factor_of_the_load_without_it(self) -> None:
        running = snapshot(event(start=NOW - 60.0, base=90.0))
        decision = decide(running, POLICY, now=NOW)
        assert decision.value == 180.0
        assert reason(decision, POLICY, running) == (
            "serving 180: held at x2 of the 90 that the load would be without it by event 'launch', until "
            "2026-11-27 18:00 Europe/Berlin; the floor is 1.2 x observed 100"
        )

    def test_a_floor_is_served_with_and_without_a_forecast(self) -> None:
        news = event(factor=1.0, floor=500.0, name="news")
        for known in (snapshot(news), snapshot(news, outlook=None, note="young")):
            decision = decide(known, POLICY, now=NOW)
            assert (decision.value, decision.source) == (500.0, Source.EVENT)
            assert reason(decision, POLICY, known) == (
                "serving 500: at least 500 by event 'news', until 2026-11-27 18:00 Europe/Berlin; "
                "the floor is 1.2 x observed 100"
            )

    def test_a_floor_wakes_a_sleeping_workload(self) -> None:
        news = event(factor=1.0, floor=0.5)
        asleep = snapshot(news, observed=0.0, outlook=None)
        assert decide(asleep, POLICY, now=NOW).active
        assert not decide(asleep, policy(activation_threshold=0.5), now=NOW).active
        over = msgspec.structs.replace(asleep, observed_at=NOW + 700.0)
        assert not decide(over, POLICY, now=NOW + 700.0).active

    def test_a_multiplied_forecast_wakes_a_sleeping_workload(self) -> None:
        asleep = snapshot(LAUNCH, observed=0.0, outlook=outlook(peak=(0.6,) * 8, highest=50.0))
        assert decide(asleep, POLICY, now=NOW).active
        assert not decide(msgspec.structs.replace(asleep, events=()), POLICY, now=NOW).active

    def test_observe_mode_only_records(self) -> None:
        observing = policy(observe_only=True)
        asleep = snapshot(event(floor=500.0), observed=0.0)
        decision = decide(asleep, observing, now=NOW)
        assert (decision.value, decision.active, decision.source) == (0.0, False, Source.OBSERVE_MODE)
        assert decision.would_serve == 500.0
        assert reason(decision, observing, asleep) == (
            "observe mode: serving the observed 0; active mode would serve 500: at least 500 by event 'launch', until "
            "2026-11-27 18:00 Europe/Berlin; the floor is 1.2 x observed 0"
        )

    def test_an_unknown_load_stays_unknown(self) -> None:
        with pytest.raises(ValueUnknown):
            decide(snapshot(event(floor=500.0), observed=None), POLICY, now=NOW)

    def test_nothing_beyond_what_the_hpa_can_count_is_served(self) -> None:
        huge = snapshot(event(factor=100.0), observed=1e15, outlook=None)
        assert decide(huge, POLICY, now=NOW).value == HIGHEST_SERVABLE
