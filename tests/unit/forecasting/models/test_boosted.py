from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.batch import predict_many
from forecasting.errors import InsufficientHistory, InvalidParameter
from forecasting.evaluation import pinball_loss
from forecasting.models.boosted import Boosted, FittedBoosted
from forecasting.serialise import dumps
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = (0.5, 0.9, 0.95)
START = 1_700_006_400


def bursts(days: float, *, step: int = 300, seed: int = 0) -> TimeSeries:
    """Noise around 20, and at the same time every day an hour of 200."""
    random = np.random.default_rng(seed)
    n = int(days * 86400 / step)
    clock = (START + step * np.arange(n)) % 86400
    burst = (clock >= 50_400) & (clock < 54_000)
    return TimeSeries(START, step, np.where(burst, 200.0, 20.0) * random.gamma(40, 1 / 40, n))


@pytest.fixture(scope="module")
def fitted() -> FittedBoosted:
    return Boosted().fit(bursts(10), horizon=6, levels=LEVELS)


def test_a_burst_is_seen_coming(fitted: FittedBoosted) -> None:
    series = bursts(11, seed=1)
    before = int(np.flatnonzero((series.times() % 86400 == 49_800) & (series.times() > START + 9 * 86400))[0])
    forecast = fitted.predict(series.first(before + 1), horizon=6, levels=LEVELS)
    assert 120 < forecast.peak[0, -1] < 300
    assert forecast.values[1, 0] < 60  # the burst is 10 minutes away: the next step is not in it
    quiet = fitted.predict(series.first(before - 30), horizon=6, levels=LEVELS)
    assert quiet.peak[2, -1] < 60


def test_coverage_is_near_the_promise(fitted: FittedBoosted) -> None:
    series = bursts(20, seed=0)
    origins = np.arange(10 * 288, 20 * 288 - 6)
    batch = predict_many(fitted, series, origins, horizon=6, levels=LEVELS)
    for h in (1, 3, 6):
        came = np.array([series.values[o + 1 : o + h + 1].max() for o in origins])
        covered = (came[:, None] <= batch.peak[:, :, h - 1]).mean(axis=0)
        assert covered[1:] == pytest.approx(LEVELS[1:], abs=0.05)


def test_less_than_a_day_is_forecast_by_the_fleet_alone() -> None:
    young = Boosted().fit(bursts(0.9), horizon=6, levels=LEVELS)
    assert young.grown == ()
    forecast = young.predict(bursts(0.9), horizon=6, levels=LEVELS)
    assert 15 < forecast.peak[1, -1] < 60


def test_from_a_day_on_a_few_trees_grow_on_top_of_the_fleets_answer_and_none_of_the_series_own() -> None:
    young = Boosted().fit(bursts(1.2), horizon=6, levels=LEVELS)
    assert [forest.ends for forest in young.grown] == [(0, 0, 0, 16, 32, 48)] * 2
    assert (young.shares == 1.0).all()
    forecast = young.predict(bursts(1.2), horizon=6, levels=LEVELS)
    assert 15 < forecast.peak[1, -1] < 60


def test_near_peaks_of_a_load_with_momentum_are_better_for_their_lines() -> None:
    random = np.random.default_rng(5)
    log = np.zeros(14 * 288)
    for i in range(2, len(log)):
        log[i] = 1.9 * log[i - 1] - 0.905 * log[i - 2] + 0.02 * random.normal()
    series = TimeSeries(START, 300, 50 * np.exp(log))
    fitted = Boosted().fit(series.first(10 * 288), horizon=6, levels=LEVELS)
    origins = np.arange(10 * 288, 14 * 288 - 6)
    batches = [
        predict_many(one, series, origins, horizon=6, levels=LEVELS) for one in (fitted, replace(fitted, near=None))
    ]
    for h, share in ((1, 0.85), (3, 0.95)):
        came = np.array([series.values[o + 1 : o + h + 1].max() for o in origins])
        near, without = (pinball_loss(came, batch.peak[:, 1, h - 1], 0.9).mean() for batch in batches)
        assert near < share * without


def test_trees_of_all_horizons_are_there_for_lines_that_lose_against_them() -> None:
    fitted = Boosted().fit(bursts(10), horizon=3, levels=LEVELS)
    assert fitted.near is not None
    assert fitted.near.horizons == (1, 2, 3)
    assert 0 < fitted.near.share < 1
    assert all(forest.ends[2] > 0 for forest in fitted.grown)


def test_peaks_of_a_job_of_every_quarter_of_an_hour_are_met_at_each_horizon() -> None:
    """Interpolated between horizons they were half of the job wherever it was certain to come."""
    random = np.random.default_rng(6)
    minute = np.arange(6 * 1440)
    series = TimeSeries(START, 60, random.poisson(20 + 400.0 * (minute % 15 < 2)).astype(np.float64))
    fitted = Boosted().fit(series.first(4 * 1440), horizon=60, levels=LEVELS)
    origins = np.arange(4 * 1440, 6 * 1440 - 60, 7)
    batch = predict_many(fitted, series, origins, horizon=10, levels=LEVELS)
    for h in (3, 5, 10):
        came = np.array([series.values[o + 1 : o + h + 1].max() for o in origins])
        assert (came <= batch.peak[:, 1, h - 1]).mean() > 0.8
        assert ((batch.peak[:, 1, h - 1] > 200) == (came > 200)).mean() > 0.99


@pytest.mark.parametrize(("known", "grown"), [(800, 0), (810, 2)])
def test_a_gap_up_to_the_part_that_is_kept_leaves_the_fleet_model(known: int, grown: int) -> None:
    """The last 806 samples are kept from trees: before them there are none, or too few for an hour ahead."""
    series = bursts(14)
    values = series.values.copy()
    values[20:-known] = np.nan
    series = TimeSeries(START, 300, values)
    fitted = Boosted().fit(series, horizon=12, levels=LEVELS)
    assert len(fitted.grown) == grown
    forecast = fitted.predict(series, horizon=12, levels=LEVELS)
    assert np.isfinite(forecast.values).all()
    assert 15 < forecast.peak[1, -1] < 60


def test_near_and_far_peaks_are_shared_out_apart(fitted: FittedBoosted) -> None:
    assert fitted.near is not None
    assert fitted.near.horizons == fitted.horizons[:3]
    values, peaks = fitted.shares
    assert len(set(values)) == 1
    assert [len(set(some)) for some in (peaks[:3], peaks[3:])] == [1, 1]
    assert peaks[0] != peaks[3]


def test_peaks_and_values_are_coherent_at_every_horizon(fitted: FittedBoosted) -> None:
    series = bursts(10)
    batch = predict_many(fitted, series, np.arange(1000, 2800, 13), horizon=20, levels=(0.1, 0.5, 0.9, 0.999))
    assert (np.diff(batch.peak, axis=2) >= 0).all()
    assert (batch.peak >= batch.values).all()
    assert (np.diff(batch.values, axis=1) >= 0).all()


def test_a_long_gap_at_the_end_says_nothing(fitted: FittedBoosted) -> None:
    values = bursts(3).values.copy()
    values[-20:] = np.nan
    with pytest.raises(InsufficientHistory):
        fitted.predict(TimeSeries(START, 300, values), horizon=6, levels=LEVELS)
    values[-3:] = 20.0
    assert fitted.predict(TimeSeries(START, 300, values), horizon=6, levels=LEVELS).peak[1, -1] < 100


def test_too_short_a_history_is_refused() -> None:
    with pytest.raises(InsufficientHistory) as caught:
        Boosted().fit(bursts(0.2), horizon=6, levels=LEVELS)
    assert str(caught.value) == "boosted needs 72 known samples of history, this series has 57"


def test_an_unknown_fleet_model_is_named() -> None:
    with pytest.raises(InvalidParameter) as caught:
        Boosted(fleet="mine").fit(bursts(1), horizon=6, levels=LEVELS)
    assert str(caught.value).startswith("fleet model 'mine' is not known to this process; known are: pretrained")


def test_a_fitted_model_is_small(fitted: FittedBoosted) -> None:
    assert len(dumps(fitted)) <= 64 * 1024


_IN_ANOTHER_PROCESS = """
import hashlib, sys
from pathlib import Path
import numpy as np
from forecasting.models.boosted import Boosted
from forecasting.serialise import dumps, loads
from forecasting.series import TimeSeries
series = TimeSeries(1_700_006_400, 300, np.frombuffer(Path(sys.argv[1]).read_bytes()))
if sys.argv[2] == "fit":
    fitted = Boosted().fit(series, horizon=6, levels=(0.5, 0.9, 0.95))
    print(hashlib.sha256(dumps(fitted)).hexdigest())
else:
    import forecasting.registry
    fitted = loads(Path(sys.argv[3]).read_bytes())
    print(fitted.predict(series, horizon=6, levels=(0.5, 0.9, 0.95)).peak[1, -1])
    print(sorted({"lightgbm", "scipy", "pandas", "statsmodels"} & set(sys.modules)))
"""


def in_another_process(*arguments: str) -> list[str]:
    command = [sys.executable, "-c", _IN_ANOTHER_PROCESS, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout.splitlines()


def test_another_process_fits_the_same_bytes(fitted: FittedBoosted, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    samples.write_bytes(bursts(10).values.tobytes())
    assert in_another_process(str(samples), "fit") == [hashlib.sha256(dumps(fitted)).hexdigest()]


def test_predicting_needs_no_heavy_library(fitted: FittedBoosted, tmp_path: Path) -> None:
    samples, model = tmp_path / "samples", tmp_path / "model"
    samples.write_bytes(bursts(10).values.tobytes())
    model.write_bytes(dumps(fitted))
    here = fitted.predict(bursts(10), horizon=6, levels=LEVELS).peak[1, -1]
    assert in_another_process(str(samples), "predict", str(model)) == [str(here), "[]"]
