"""Faults injected into a real load: what the gate makes of them, and what is served (docs/gate.md)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from forecasting.models.seasonal_profile import SeasonalProfile
from forecasting.refits import fit_times, refit_at
from forecasting.registry import default_registry
from forecasting.series import TimeSeries
from scaler.decision import DecisionPolicy, Snapshot, decide, reason
from scaler.decision.gate import GateRule, Standing, judge
from scaler.replay.demand import Demand
from scaler.replay.forecasts import highest_so_far, peaks_of
from scaler.replay.policies import Outlooks, Peaks, Served, foresail
from scaler.replay.report import gate_in_words
from tests.support.traces import read_trace

if TYPE_CHECKING:
    from forecasting.series import FloatArray
    from scaler.decision.gate import GateState, Judgement

DAY = 1440  # samples
FAULT = 15 * DAY + 120  # at two in the night
POLICY = DecisionPolicy(threshold=13.5, lead_time=180.0, headroom=1.2)


@pytest.fixture(scope="module")
def load() -> FloatArray:
    return read_trace("nasa_http_jul95_21d").values


def replayed(values: FloatArray, forecaster: str, *, first: int = 14) -> tuple[TimeSeries, Peaks, list[GateState]]:
    """The load with forecasts from that day on, refitted daily, and what the gate said after each sample."""
    series = TimeSeries(0, 60, values)
    times = fit_times(series, train_end=(first * DAY - 1) * 60, refit_every=86400)
    method = default_registry().create(forecaster)
    refits = [
        refit_at(series, method, times, n, horizon=8, levels=(0.5, 0.9), history=14 * DAY) for n in range(len(times))
    ]
    peaks = Peaks(
        forecaster=forecaster,
        quantile=0.9,
        values=peaks_of(series, refits, horizon=8, levels=2)[1],
        highest=highest_so_far(series, window=14 * 86400),
    )
    judged = peaks.gate(series, POLICY)
    assert judged is not None
    return series, peaks, judged


def changes(judged: list[GateState]) -> list[tuple[float, bool]]:
    """(hours since the fault, trusted from then on)."""
    trusted = [one.standing is not Standing.DEMOTED for one in judged]
    return [((n - FAULT) / 60, trusted[n]) for n in range(1, len(trusted)) if trusted[n] != trusted[n - 1]]


def verdict(state: GateState) -> Judgement:
    return judge(state, GateRule(quantile=0.9))


def served(series: TimeSeries, peaks: Peaks, *, start: int, samples: int) -> tuple[Demand, Served]:
    known = series.first(start + samples)
    demand = Demand.of(known, start=series.start + start * 60)
    cut = replace(peaks, values=peaks.values[: len(known)], highest=peaks.highest[: len(known)])
    return demand, foresail(demand, known, cut, POLICY)


def explained(series: TimeSeries, peaks: Peaks, judged: list[GateState], sample: int) -> str:
    """What `foresail explain` would have said of the answer right after that sample."""
    outlook = Outlooks(peaks, series, judged).after(sample)
    assert outlook is not None
    now, observed = float(series.start + sample * series.step), float(series.values[sample])
    snapshot = Snapshot(
        trigger="",
        series="",
        made_at=now,
        observed=observed,
        observed_at=now,
        outlook=msgspec.structs.replace(outlook, verdict=verdict(judged[sample]).verdict),
    )
    return reason(decide(snapshot, POLICY, now=now), POLICY, snapshot)


def test_an_ordinary_load_is_forecast_with_trust(load: FloatArray) -> None:
    for forecaster in ("seasonal-profile", "seasonal-naive"):
        _, _, judged = replayed(load[: 17 * DAY], forecaster)
        assert changes(judged) == []
        assert (verdict(judged[-1]).gain or 0.0) > 0.5


def test_three_times_the_load_overnight_leaves_the_forecast_too_low_and_harmless(load: FloatArray) -> None:
    risen = load[: 17 * DAY].copy()
    risen[FAULT:] *= 3.0
    for forecaster in ("seasonal-profile", "seasonal-naive"):
        series, peaks, judged = replayed(risen, forecaster)
        assert changes(judged) == []
        demand, answers = served(series, peaks, start=FAULT, samples=800)
        assert (answers.value >= POLICY.headroom * demand.observed).all()
    # seasonal-naive, half an hour later
    assert explained(series, peaks, judged, FAULT + 30) == (
        "serving 194.4: 1.2 x observed 162, because the 0.9-quantile of the peak within 3m45s (seasonal-naive) is "
        "137.1, not more than that"
    )


def test_a_third_of_the_load_demotes_a_method_that_does_not_follow(load: FloatArray) -> None:
    fallen = load[: 17 * DAY].copy()
    fallen[FAULT:] /= 3.0
    _, _, judged = replayed(fallen, "seasonal-profile")
    assert changes(judged) == []  # this one follows
    series, peaks, judged = replayed(fallen, "seasonal-naive")
    (out, demoted), (back, trusted) = changes(judged)
    assert (demoted, trusted) == (False, True)
    assert 3.0 < out < 6.0
    assert 24.0 < back < 36.0  # when last night's load is its model
    at = FAULT + int(out * 60)
    assert verdict(judged[at]).verdict.startswith("the gate has demoted the forecast: over the last 6h, ")
    demand, answers = served(series, peaks, start=at + 60, samples=600)
    np.testing.assert_array_equal(answers.value, POLICY.headroom * demand.observed)
    assert set(answers.reasons) == {"demoted"}
    _, whole = served(series, peaks, start=FAULT, samples=2 * DAY - 120)
    assert whole.gate is not None
    left_out, taken_back = whole.gate.changes
    assert [(left_out.time, left_out.trusted), (taken_back.time, taken_back.trusted)] == [
        ((FAULT + round(out * 60)) * 60, False),
        ((FAULT + round(back * 60)) * 60, True),
    ]
    assert left_out.verdict == verdict(judged[at]).verdict
    assert whole.gate.demoted == pytest.approx((back - out) * 60 / (2 * DAY - 120), abs=0.001)
    assert gate_in_words(whole.gate).startswith("the gate demoted the forecast 1 time, for ")


@pytest.mark.parametrize("fault", ["outage", "stuck"])
def test_a_long_outage_or_a_stuck_metric_ends_as_plain_keda(load: FloatArray, fault: str) -> None:
    """Three days of zeros, or of one value."""
    until = FAULT + 3 * DAY
    broken = load[: 20 * DAY].copy()
    broken[FAULT:until] = 0.0 if fault == "outage" else load[FAULT]
    for forecaster, within in (("seasonal-naive", 6.0), ("seasonal-profile", 24.0)):
        series, peaks, judged = replayed(broken, forecaster)
        (out, demoted), (back, trusted) = changes(judged)
        assert (demoted, trusted) == (False, True)
        assert 0.0 < out < within
        assert 3 * 24.0 < back < 5 * 24.0  # not while it lasts
        demand, answers = served(series, peaks, start=FAULT + 2 * DAY, samples=600)
        np.testing.assert_array_equal(answers.value, POLICY.headroom * demand.observed)
        # the load that comes back is served as plain KEDA would at least
        demand, answers = served(series, peaks, start=until, samples=300)
        assert (answers.value >= POLICY.headroom * demand.observed).all()


def test_a_week_of_zeros_is_answered_as_plain_keda_does_and_the_load_after_it_too(load: FloatArray) -> None:
    begins = FAULT - 2 * DAY
    until = begins + 7 * DAY
    broken = load[: until + 600].copy()
    broken[begins:until] = 0.0
    series, peaks, judged = replayed(broken, "seasonal-naive", first=13)
    (out, demoted), *_ = changes(judged)
    assert not demoted
    assert -48.0 < out < -42.0  # within six hours of the fault
    demand, answers = served(series, peaks, start=begins + DAY, samples=600)
    assert set(answers.value) == {0.0}
    assert not answers.active.any()
    asleep = explained(series, peaks, judged, begins + DAY)
    assert asleep.startswith("serving 0: 1.2 x observed 0, because the gate has demoted the forecast: over the last ")
    demand, answers = served(series, peaks, start=until, samples=300)
    assert (answers.value >= POLICY.headroom * demand.observed).all()


def test_a_stuck_value_is_served_as_it_is_and_the_reason_is_the_gate(load: FloatArray) -> None:
    stuck = load[: FAULT + 2 * DAY].copy()
    stuck[FAULT:] = load[FAULT]
    series, peaks, judged = replayed(stuck, "seasonal-naive")
    said = explained(series, peaks, judged, FAULT + DAY + 600)
    value = load[FAULT]
    floor = f"serving {1.2 * value:.4g}: 1.2 x observed {value:.4g}"
    assert said.startswith(f"{floor}, because the gate has demoted the forecast: over the last ")


def test_when_clocks_change_a_profile_that_follows_them_is_right_the_same_day() -> None:
    """A load on a schedule, whose people lose an hour on 31 March 1996; forecasts from what was known before it."""
    trace = read_trace("pool_c20_schedule")
    change, hour = 4 * DAY, 60
    begins = int(datetime(1996, 3, 31, 1, tzinfo=UTC).timestamp()) - change * 60
    series = TimeSeries(begins, 60, np.concatenate([trace.values[:change], trace.values[change + hour :]]))
    after = np.arange(change, change + 22 * hour)
    errors = {}
    for zone in ("Europe/Berlin", "UTC"):
        fitted = SeasonalProfile(season_length=DAY, timezone=zone).fit(series.first(change), horizon=15, levels=(0.5,))
        ahead = fitted.predict_many(series, after, horizon=15, levels=(0.5,)).values[:, 0, -1]
        errors[zone] = float(np.nanmean(np.abs(ahead - series.values[after + 15])))
    assert errors["Europe/Berlin"] < 0.7 * errors["UTC"]


@pytest.mark.parametrize("hours", [1, -1, 6])
def test_a_clock_that_shifts_costs_no_trust(load: FloatArray, hours: int) -> None:
    shifted = np.concatenate([load[:FAULT], np.roll(load, 60 * hours)[FAULT : 17 * DAY]])
    _, _, judged = replayed(shifted, "seasonal-profile")
    assert changes(judged) == []
    assert (verdict(judged[-1]).gain or 0.0) > 0.5


def test_a_flash_crowd_is_capped_and_soon_forgiven(load: FloatArray) -> None:
    begins = FAULT + 480  # at ten in the morning, for an hour
    crowd = load[: 18 * DAY].copy()
    crowd[begins : begins + 60] *= 10.0
    series, peaks, judged = replayed(crowd, "seasonal-profile")
    assert changes(judged) == []
    highest = highest_so_far(series, window=14 * 86400)
    demand, answers = served(series, peaks, start=FAULT, samples=800)
    cap = np.maximum(2.0 * np.maximum(highest[demand.sample], demand.observed), 1.2 * demand.observed)
    assert (answers.value <= cap).all()
    assert explained(series, peaks, judged, begins + 30).startswith(
        "serving 335.3: the 0.9-quantile of the peak within "
    )
    # the day after, the naive method expects it again: demoted at its price, and back within a day
    _, _, judged = replayed(crowd, "seasonal-naive")
    (out, demoted), (back, trusted) = changes(judged)
    assert (demoted, trusted) == (False, True)
    assert 24.0 < out < back < 48.0


def test_other_programs_have_no_gate(load: FloatArray) -> None:
    series = TimeSeries(0, 60, load[:301])
    values = np.full((len(series), 8), 1e9)
    plain = {"forecaster": "x", "quantile": 0.9, "values": values, "highest": np.full(len(series), 1e9)}
    assert Peaks(**plain, gated=False).gate(series, POLICY) is None  # type: ignore[arg-type]  # a short way to say it
    judged = Peaks(**plain).gate(series, POLICY)  # type: ignore[arg-type]  # as above
    assert judged is not None
    assert judged[0].standing is Standing.PROBATION
    assert judged[300].standing is Standing.DEMOTED
