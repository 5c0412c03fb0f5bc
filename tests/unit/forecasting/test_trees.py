from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from forecasting.trees import MAX_LEAVES, TreeEnsemble


def grown(leaves: int, trees: int = 30) -> tuple[lightgbm.Booster, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    random = np.random.default_rng(5)
    x = random.normal(size=(3000, 6)).astype(np.float32)
    y = np.sin(x[:, 0]) + x[:, 1] * (x[:, 2] > 0) + 0.1 * random.normal(size=3000) + 3
    settings = {"num_leaves": leaves, "verbosity": -1, "num_threads": 1, "objective": "quantile", "alpha": 0.9}
    return lightgbm.train(settings, lightgbm.Dataset(x, y), num_boost_round=trees), x


@pytest.mark.parametrize("leaves", [2, 5, MAX_LEAVES])
def test_tables_predict_what_the_library_does(leaves: int) -> None:
    model, x = grown(leaves)
    ours = TreeEnsemble.of(model.model_to_string())
    assert ours.predict(x) == pytest.approx(np.asarray(model.predict(x)), abs=2e-3)


def test_a_row_gets_the_same_alone_and_in_a_batch() -> None:
    model, x = grown(MAX_LEAVES)
    ours = TreeEnsemble.of(model.model_to_string())
    batch = ours.predict(x)
    for i in (0, 17, 2999):
        assert ours.predict(x[i : i + 1])[0] == batch[i]


def test_trees_that_never_split_are_constants() -> None:
    x = np.zeros((300, 2), dtype=np.float32)
    model = lightgbm.Booster({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, np.full(300, 1.25)))
    model.update()
    assert TreeEnsemble.of(model.model_to_string()).predict(x[:3]) == pytest.approx([1.25] * 3)
    assert TreeEnsemble.of("").predict(np.zeros((2, 2), dtype=np.float32)) == pytest.approx([0, 0])


def test_a_tree_takes_no_more_room_than_its_table() -> None:
    ours = TreeEnsemble.of(grown(8)[0].model_to_string())
    tables = (ours.feature, ours.threshold, ours.left, ours.leaf)
    assert sum(table.nbytes for table in tables) == 30 * (7 * (1 + 4 + 2) + 8 * 2)
