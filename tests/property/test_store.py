"""The SQLite store against the plainest thing that could be right: a dict of samples."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from forecasting.series import TimeSeries
from scaler.store.base import StoredModel
from scaler.store.sqlite import BLOCK, SqliteStore

IDS = ("a", "b", "c")
STEPS = (15, 60, 300)

ids = st.sampled_from(IDS)
steps = st.sampled_from(STEPS)
moments = st.integers(-200, 200).map(lambda n: 1_700_000_000 // 900 * 900 + n * 900)
samples = st.lists(st.one_of(st.just(float("nan")), st.floats(allow_infinity=False)), max_size=3 * BLOCK)


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, TimeSeries]:
    step = draw(steps)
    start = draw(moments) // step + draw(st.integers(-70, 70))
    return draw(ids), TimeSeries(start * step, step, np.array(draw(samples), dtype=np.float64))


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="foresail-store-"))
        self.store = SqliteStore(self.directory / "foresail.db")
        self.samples: dict[tuple[str, int], dict[int, float]] = {}
        self.models: dict[tuple[str, str], StoredModel] = {}
        self.snapshots: dict[str, tuple[float, bytes]] = {}

    @rule(new=st.lists(batches(), max_size=4))
    def append(self, new: list[tuple[str, TimeSeries]]) -> None:
        self.store.append(new)
        for series_id, series in new:
            known = self.samples.setdefault((series_id, series.step), {})
            pairs = zip(series.times().tolist(), series.values.tolist(), strict=True)
            known.update((time, value) for time, value in pairs if not np.isnan(value))

    @rule(series_id=ids, step=steps, since=moments, off=st.integers(-400, 400))
    def read(self, series_id: str, step: int, since: int, off: int) -> None:
        self.check(series_id, step, since + off)

    @rule(
        series_id=ids,
        forecaster=st.sampled_from(["ets", "naive"]),
        data=st.binary(),
        train_end=moments,
        fitted_at=st.floats(0, 9),
    )
    def put_model(self, series_id: str, forecaster: str, data: bytes, train_end: int, fitted_at: float) -> None:
        model = StoredModel(forecaster, data, train_end, fitted_at)
        self.store.put_model(series_id, model)
        kept = self.models.get((series_id, forecaster))
        if kept is None or fitted_at >= kept.fitted_at:
            self.models[series_id, forecaster] = model

    @rule(new=st.lists(st.tuples(ids, st.binary())), now=st.floats(0, 9))
    def put_snapshots(self, new: list[tuple[str, bytes]], now: float) -> None:
        self.store.put_snapshots(new, now=now)
        self.snapshots.update((trigger_id, (now, data)) for trigger_id, data in new)

    @rule(samples_before=moments, snapshots_before=st.floats(0, 9))
    def forget(self, samples_before: int, snapshots_before: float) -> None:
        self.store.forget(samples_before=samples_before, snapshots_before=snapshots_before, most_decisions=9)
        for (series_id, step), known in self.samples.items():
            kept = self.store.history(series_id, step=step, since=-(10**9))
            # the samples that went are the oldest, none of them within the retention, and few of the others stay
            gone = [time for time in known if len(kept) == 0 or time < kept.start]
            assert all(time < samples_before for time in gone)
            for time in gone:
                del known[time]
            assert all(time >= samples_before - BLOCK * step for time in known)
        self.models = {key: model for key, model in self.models.items() if model.train_end >= samples_before}
        self.snapshots = {key: value for key, value in self.snapshots.items() if value[0] >= snapshots_before}

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = SqliteStore(self.directory / "foresail.db")

    @invariant()
    def all_agree(self) -> None:
        for series_id in IDS:
            for step in STEPS:
                self.check(series_id, step, -(10**9))
            for forecaster in ("ets", "naive"):
                assert self.store.model(series_id, forecaster) == self.models.get((series_id, forecaster))
        by_age = sorted(self.snapshots.items(), key=lambda item: (-item[1][0], item[0]))
        assert list(self.store.snapshots()) == [(trigger_id, data) for trigger_id, (_, data) in by_age]
        assert self.store.set_aside == ()

    def check(self, series_id: str, step: int, since: int) -> None:
        expected = {t: v for t, v in self.samples.get((series_id, step), {}).items() if t >= since}
        history = self.store.history(series_id, step=step, since=since)
        assert history.step == step
        if not expected:
            assert len(history) == 0
            assert since <= history.start < since + step
            return
        assert (history.start, history.end) == (min(expected), max(expected))
        found = {
            t: v for t, v in zip(history.times().tolist(), history.values.tolist(), strict=True) if not np.isnan(v)
        }
        assert found == expected

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)


StoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestStore = StoreMachine.TestCase
