from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import FitFailed
from forecasting.features.sequence import Inputs
from forecasting.network import KNOTS
from forecasting.training.corpus import Corpus, Recipe, corpus
from forecasting.training.descent import Course, Descent, State
from tests.support.networks import daily_load, random_network

RECIPE = Recipe(origins=240, generated=2, generated_origins=60, seed=4)
COURSE = Course(units=6, dense=8, batch=64, epochs=4, seed=5)


@pytest.fixture(scope="module")
def learned() -> Corpus:
    return corpus([daily_load(1.0, 1), daily_load(1e5, 2)], RECIPE)


def trained(learned: Corpus, course: Course = COURSE) -> Descent:
    descent = Descent(learned.train, learned.validate, course=course)
    for _ in descent.steps():
        pass
    return descent


@pytest.fixture(scope="module")
def whole(learned: Corpus) -> Descent:
    return trained(learned)


def test_a_corpus_is_the_same_for_the_same_seed(learned: Corpus) -> None:
    told: list[tuple[int, int]] = []
    again = corpus(
        [daily_load(1.0, 1), daily_load(1e5, 2)], RECIPE, told=lambda done, total: told.append((done, total))
    )
    np.testing.assert_array_equal(again.train.came, learned.train.came)
    np.testing.assert_array_equal(again.validate.asks, learned.validate.asks)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert learned.series == 2
    other = corpus([daily_load(1.0, 1), daily_load(1e5, 2)], replace(RECIPE, seed=5))
    assert not np.array_equal(other.train.came, learned.train.came)


def test_what_validates_comes_after_what_is_learned_from() -> None:
    # the second half is a thousand times higher: examples of the first half must know nothing of it
    series = daily_load(1.0, 1)
    values = series.values.copy()
    values[len(values) // 2 :] *= 1000
    recipe = replace(RECIPE, generated=0, validation=0.5)
    plain, jumped = (corpus([replace(series, values=v)], recipe) for v in (series.values, values))
    np.testing.assert_array_equal(plain.train.came, jumped.train.came)


def test_nothing_to_learn_from_is_told() -> None:
    with pytest.raises(FitFailed, match="none of these 1 series has the half day that a network learns from"):
        corpus([daily_load(1.0, 1, days=0.3)], replace(RECIPE, generated=0))


def test_training_lowers_the_loss(learned: Corpus) -> None:
    course = replace(COURSE, batch=32, epochs=6, learning_rate=0.02)
    untrained = Descent(learned.train, learned.validate, course=course).validation_loss()
    assert trained(learned, course).state.losses[-1] < 0.9 * untrained


def test_a_training_is_deterministic_and_goes_on_from_any_batch_to_the_same_weights(
    learned: Corpus, whole: Descent
) -> None:
    broken = Descent(learned.train, learned.validate, course=COURSE)
    for state in broken.steps():
        if state.batches == broken.batches_an_epoch + 2:  # in the middle of an epoch
            break
    kept = State(state.batches, dict(state.arrays), list(state.losses), state.trained)
    resumed = Descent(learned.train, learned.validate, course=COURSE, state=kept)
    for _ in resumed.steps():
        pass
    assert resumed.state.losses == whole.state.losses
    assert resumed.network(series=2, story="x").to_bytes() == whole.network(series=2, story="x").to_bytes()


def test_training_stops_when_it_brings_nothing_and_keeps_the_best(learned: Corpus) -> None:
    course = replace(COURSE, epochs=30, learning_rate=3.0, patience=2)  # so fast that it diverges
    descent = trained(learned, course)
    best = descent.state.best()
    assert len(descent.state.losses) == best + 3 < 30
    assert descent.validation_loss("best") == pytest.approx(descent.state.losses[best])


def test_numpy_computes_what_torch_computes(learned: Corpus, whole: Descent) -> None:
    import torch  # noqa: PLC0415  # seconds that only this test shall take

    network = whole.network(series=2, story="x")
    part = learned.validate.at(slice(0, 8))
    nothing = np.zeros(8)
    mine = network.predict(Inputs(part.tokens, part.asks, part.statics, nothing, nothing))
    cell = torch.nn.LSTM(part.tokens.shape[2], 6, batch_first=True)
    with torch.no_grad():
        cell.weight_ih_l0.copy_(torch.from_numpy(network.cell_input.T.copy()))
        cell.weight_hh_l0.copy_(torch.from_numpy(network.cell_state.T.copy()))
        cell.bias_ih_l0.copy_(torch.from_numpy(network.cell_bias.copy()))
        cell.bias_hh_l0.zero_()
        state = cell(torch.from_numpy(part.tokens))[0][:, -1].numpy()
    origin = np.concatenate([state, part.statics], axis=1) @ network.origin + network.first_bias
    hidden = np.tanh(np.tanh(part.asks @ network.ask + origin[:, None]) @ network.second + network.second_bias)
    raw = hidden @ network.out + network.out_bias
    raw[..., 1:] = np.log1p(np.exp(raw[..., 1:]))
    assert mine.shape == (8, 14, len(KNOTS))
    np.testing.assert_allclose(mine, np.cumsum(raw, axis=2), atol=1e-4)


def test_fine_tuning_begins_with_the_weights_given(learned: Corpus) -> None:
    start = random_network(units=6, dense=8)
    descent = Descent(learned.train, learned.validate, course=COURSE, start=start)
    np.testing.assert_array_equal(descent.state.arrays["weight/ask"], start.ask)


def test_without_torch_the_text_says_what_to_install() -> None:
    script = """
import sys
sys.modules["torch"] = None
from forecasting.errors import FitFailed
from forecasting.training.corpus import Recipe, corpus
from forecasting.training.descent import Course, Descent
learned = corpus([], Recipe(generated=1, generated_origins=10))
try:
    Descent(learned.train, learned.validate, course=Course())
except FitFailed as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == (
        "training a recurrent network needs torch, which is not installed: pip install 'foresail[lstm]' brings it\n"
    )
