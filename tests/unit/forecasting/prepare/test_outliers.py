from __future__ import annotations

import numpy as np

from forecasting.models.seasonal_profile import SeasonalProfile
from forecasting.prepare.outliers import masked, outliers
from forecasting.series import FloatArray, TimeSeries


def _series(values: FloatArray) -> TimeSeries:
    return TimeSeries(0, 60, values)


def _daily(days: int = 7) -> FloatArray:
    n = days * 1440
    return 100 + 50 * np.sin(2 * np.pi * np.arange(n) / 1440) + np.random.default_rng(0).normal(0, 5, n)


def test_a_spike_and_an_outage_are_found() -> None:
    values = _daily()
    values[5000] = 2000
    values[7000:7030] = 0
    assert np.flatnonzero(outliers(_series(values), (1440,))).tolist() == [5000, *range(7000, 7030)]
    assert np.isnan(masked(_series(values), (1440,)).values[[5000, 7010]]).all()


def test_a_spike_is_found_beside_an_outage_with_which_it_would_not_be_rare() -> None:
    values = _daily()
    values[5000:5060] = 2000
    values[7000:7090] = 0
    assert np.flatnonzero(outliers(_series(values), (1440,))).tolist() == [*range(5000, 5060), *range(7000, 7090)]


def test_a_job_that_runs_every_night_is_no_outlier() -> None:
    values = _daily()
    values[180::1440] += 1000
    assert not outliers(_series(values), (1440,)).any()


def test_what_happens_often_is_the_series_nature() -> None:
    values = _daily()
    values[np.random.default_rng(1).random(values.size) < 0.05] = 2000
    assert not outliers(_series(values), (1440,)).any()


def test_an_idle_night_is_no_outage() -> None:
    values = _daily()
    values = np.where(np.arange(values.size) % 1440 < 400, 0.0, values)
    assert not outliers(_series(values), (1440,)).any()


def test_odd_series_have_none() -> None:
    for values in (np.zeros(100), np.full(100, np.nan), np.zeros(0), np.full(50, 3.0)):
        assert not outliers(_series(values), (10,)).any()


def test_a_spike_and_an_outage_teach_the_profile_nothing() -> None:
    values = _daily()
    spoiled = values.copy()
    spoiled[5000:5008] = 20_000
    spoiled[7000:7090] = 0
    clean, taught = (
        SeasonalProfile().fit(_series(one), horizon=30, levels=(0.5, 0.9)).design.profiles for one in (values, spoiled)
    )
    assert [one.length for one in taught] == [one.length for one in clean] == [1440]
    # an hour and a half of one day less to learn from, and nothing else
    np.testing.assert_allclose(taught[0].bins, clean[0].bins, atol=0.02 * float(np.ptp(clean[0].bins)))
