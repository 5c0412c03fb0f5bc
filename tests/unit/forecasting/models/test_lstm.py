from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.conformance import check_forecaster
from forecasting.errors import InsufficientHistory, InvalidParameter, InvalidSeries
from forecasting.evaluation import pinball_loss
from forecasting.local import regression
from forecasting.models import lstm
from forecasting.models.lstm import FittedLstm, Lstm
from forecasting.models.naive import Naive
from forecasting.network import NETWORKS
from forecasting.registry import default_registry
from forecasting.series import TimeSeries
from tests.support.networks import daily_load, random_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.series import FloatArray


def test_it_conforms() -> None:
    check_forecaster(Lstm(), step=300, days=2)


def test_on_a_first_day_it_beats_the_last_value(trace: Callable[[str], TimeSeries]) -> None:
    series = trace("nasa_http_jul95").last(2 * 1440)
    day, horizon = 1440, 60
    mine, naive = (m.fit(series.first(day), horizon=horizon, levels=(0.9,)) for m in (Lstm(), Naive()))
    losses = []
    for fitted in (mine, naive):
        total = []
        for origin in range(day, len(series) - horizon, 60):
            forecast = fitted.predict(series.first(origin + 1), horizon=horizon, levels=(0.9,))
            came = series.values[origin + 1 : origin + 1 + horizon]
            total.append(np.nanmean(pinball_loss(came, forecast.values[0], 0.9)))
        losses.append(np.mean(total))
    assert losses[0] < 0.95 * losses[1]


def test_its_past_recalibrates_it_the_more_the_longer_it_is() -> None:
    # a network of random weights is wrong; what the outcomes say pulls its quantiles towards the truth
    digest = NETWORKS.remember(random_network())
    series = daily_load(1.0, 1, days=10)
    covered = []
    for days in (0.5, 9):
        past = series.first(9 * 288).last(int(days * 288))
        fitted = Lstm(weights=digest).fit(past, horizon=12, levels=(0.9,))
        batch = fitted.predict_many(series, np.arange(9 * 288, len(series) - 1), horizon=1, levels=(0.9,))
        covered.append(float(np.mean(series.values[9 * 288 + 1 :] <= batch.values[:, 0, 0])))
    assert abs(covered[1] - 0.9) < 0.07
    assert abs(covered[1] - 0.9) < abs(covered[0] - 0.9)


def test_its_past_draws_the_middle_to_where_the_series_goes_once_there_are_days() -> None:
    digest = NETWORKS.remember(random_network())
    series = daily_load(1.0, 1, days=11)
    origins = np.arange(9 * 288, len(series) - 12)
    came = series.values[origins + 12]
    young, old = (
        Lstm(weights=digest).fit(series.first(9 * 288).last(int(days * 288)), horizon=12, levels=(0.5,))
        for days in (1.5, 9)
    )
    assert not young.local.any()
    assert 0.2 < old.local[:, -1].min() < old.local[:, -1].max() < 0.5
    drawn, undrawn = (
        np.abs(came - one.predict_many(series, origins, horizon=12, levels=(0.5,)).values[:, 0, 11]).mean()
        for one in (old, replace(old, local=np.zeros_like(old.local)))
    )
    assert drawn < 0.9 * undrawn


def test_the_middle_is_not_drawn_where_that_would_have_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong_of_peaks(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        weights, said = regression(x, y, weight)
        return weights, said + np.where(np.arange(y.shape[1]) < y.shape[1] // 2, 0.0, 8.0)

    monkeypatch.setattr(lstm, "regression", wrong_of_peaks)
    fitted = Lstm().fit(daily_load(1.0, 1, days=9), horizon=12, levels=(0.9,))
    assert fitted.local[0].any()
    assert not fitted.local[1].any()


def test_a_fit_names_the_weights_it_was_made_with() -> None:
    series = daily_load(1.0, 1)
    fitted = Lstm().fit(series, horizon=12, levels=(0.9,))
    assert fitted.weights == NETWORKS.shipped().digest()
    NETWORKS.use(random_network(seed=3))
    try:
        assert fitted.predict(series, horizon=12, levels=(0.9,)) == Lstm(weights=fitted.weights).fit(
            series, horizon=12, levels=(0.9,)
        ).predict(series, horizon=12, levels=(0.9,))
        assert Lstm().fit(series, horizon=12, levels=(0.9,)).weights == random_network(seed=3).digest()
    finally:
        NETWORKS.use(None)


def test_too_little_history_and_unknown_weights_are_told() -> None:
    with pytest.raises(InsufficientHistory, match="lstm needs 40 known samples of history, this series has 39"):
        Lstm().fit(daily_load(1.0, 1).first(39), horizon=12, levels=(0.9,))
    with pytest.raises(InvalidParameter, match="recurrent network 'abc' is not known to this process"):
        Lstm(weights="abc").fit(daily_load(1.0, 1), horizon=12, levels=(0.9,))


def test_the_registry_has_it() -> None:
    assert default_registry().create("lstm", {"weights": "pretrained"}) == Lstm()


def test_many_series_in_one_pass_get_what_each_gets_alone() -> None:
    contexts = [daily_load(10.0**n, n, days=1 + n) for n in range(3)]
    fitted = [Lstm().fit(context, horizon=12, levels=(0.9,)) for context in contexts]
    blind = TimeSeries(contexts[0].start, 300, np.where(np.arange(288) > 270, np.nan, contexts[0].values))
    together = FittedLstm.predict_all([*fitted, fitted[0]], [*contexts, blind], horizon=12, levels=(0.5, 0.9))
    assert together.known.tolist() == [True, True, True, False]
    for row, (one, context) in enumerate(zip(fitted, contexts, strict=True)):
        assert together.forecast(row) == one.predict(context, horizon=12, levels=(0.5, 0.9))


def test_series_that_have_not_all_in_common_are_no_batch() -> None:
    one, other = daily_load(1.0, 1), daily_load(1.0, 1, step=600)
    fitted = [Lstm().fit(series, horizon=6, levels=(0.9,)) for series in (one, other)]
    with pytest.raises(InvalidSeries, match="one step, with one network, for one horizon"):
        FittedLstm.predict_all(fitted, [one, other], horizon=6, levels=(0.9,))
    with pytest.raises(
        InvalidSeries, match="the context's step is 600 s, but the forecaster was fitted on a step of 300 s"
    ):
        FittedLstm.predict_all(fitted[:1], [other], horizon=6, levels=(0.9,))


def test_torch_is_neither_needed_nor_loaded() -> None:
    script = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "chronos", "lightgbm"):
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refusing())
import numpy as np
from forecasting.registry import default_registry
from forecasting.series import TimeSeries
from forecasting.series import TimeSeries

values = 5 + np.sin(np.arange(600) / 40)
fitted = default_registry().create("lstm").fit(TimeSeries(0, 300, values), horizon=12, levels=(0.9,))
forecast = fitted.predict(TimeSeries(0, 300, values), horizon=12, levels=(0.5, 0.9))
assert np.isfinite(forecast.peak).all() and not {"torch", "chronos"} & set(sys.modules)
print(forecast.horizon)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert (done.stdout, done.stderr) == ("12\n", "")
