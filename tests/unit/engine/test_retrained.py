"""A trained model's file is replaced while the engine runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecasting.models.lstm import FittedLstm
from forecasting.network import NETWORKS
from scaler.engine.retrained import ModelWatch
from scaler.training.files import write_atomically
from scaler.training.in_use import ModelFiles
from tests.support.networks import random_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scaler.engine.state import ModelState

FIRST, SECOND = random_network(seed=1), random_network(seed=2)


@pytest.fixture(autouse=True)
def _shipped_again() -> Iterator[None]:
    yield
    NETWORKS.use(None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lstm.bin"
    write_atomically(path, FIRST.to_bytes())
    return path


@pytest.fixture
async def bench(make_workbench: Callable[..., Any], file: Path) -> Any:
    return make_workbench(lstm_model=str(file))


@pytest.fixture
def watch(bench: Any) -> ModelWatch:
    return ModelWatch(ModelFiles.of(bench.settings), bench.engine._modelling)


def model(bench: Any) -> ModelState:
    (series,) = bench.engine.series
    (only,) = series.models.values()
    found: ModelState = only
    return found


def weights(bench: Any) -> str:
    fitted = model(bench).fitted
    assert isinstance(fitted, FittedLstm)
    return fitted.weights


async def test_a_new_file_is_taken_up_and_its_series_are_fitted_anew(bench: Any, watch: ModelWatch, file: Path) -> None:
    await watch.look()
    bench.register(forecaster="lstm", historyTimeWindow="6h")
    await bench.engine.settle()
    assert weights(bench) == FIRST.digest()
    write_atomically(file, SECOND.to_bytes())
    await watch.look(bench.engine)
    await bench.at(bench.clock.now + 179)
    assert weights(bench) == SECOND.digest()
    assert model(bench).forecast is not None


async def test_a_bad_file_changes_nothing(bench: Any, watch: ModelWatch, file: Path) -> None:
    await watch.look()
    bench.register(forecaster="lstm", historyTimeWindow="6h")
    await bench.engine.settle()
    write_atomically(file, b"half a mod")
    await watch.look(bench.engine)
    await bench.at(bench.clock.now + 179)
    assert weights(bench) == FIRST.digest()
    assert model(bench).forecast is not None


async def test_what_was_fitted_with_weights_that_are_gone_is_fitted_anew(bench: Any, watch: ModelWatch) -> None:
    await watch.look()
    bench.register(forecaster="lstm", historyTimeWindow="6h")
    await bench.engine.settle()
    fitted = model(bench).fitted
    assert isinstance(fitted, FittedLstm)
    model(bench).fitted = replace(fitted, weights="0123456789abcdef")  # as the store of another machine may hold it
    await bench.at(bench.clock.now + 179)
    assert weights(bench) == FIRST.digest()
    assert model(bench).forecast is not None
