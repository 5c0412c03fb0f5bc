from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.training.descent import State
from scaler.errors import ModelUnusable
from scaler.training.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from tests.support.networks import daily_load

if TYPE_CHECKING:
    from pathlib import Path


def state() -> State:
    arrays = {"weight/ask": np.arange(6, dtype=np.float32).reshape(2, 3), "mean/ask": np.ones(3, dtype=np.float32)}
    return State(17, arrays, [0.5, 0.25], 0.125)


def test_a_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "x.checkpoint"
    assert load_checkpoint(path, of="abc") is None
    save_checkpoint(path, state(), of="abc")
    read = load_checkpoint(path, of="abc")
    assert read is not None
    assert (read.batches, read.losses, read.trained) == (17, [0.5, 0.25], 0.125)
    assert read.arrays.keys() == state().arrays.keys()
    for name, array in state().arrays.items():
        np.testing.assert_array_equal(read.arrays[name], array)
        assert read.arrays[name].dtype == np.float32
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.checkpoint"]


def test_another_trainings_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.checkpoint"
    save_checkpoint(path, state(), of="abc")
    with pytest.raises(ModelUnusable) as refused:
        load_checkpoint(path, of="def")
    assert str(refused.value) == (
        f"the checkpoint {path} is of another training (other histories or options, or another version): give the "
        "options it was made with, name another file with --checkpoint, or begin anew with --restart"
    )


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "pickle"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.checkpoint"
    save_checkpoint(path, state(), of="abc")
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "text":
        path.write_text("hello")
    else:  # an array of objects: reading it would run what it holds
        with path.open("wb") as file:
            np.savez(file, header=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelUnusable, match=rf"{path} is no checkpoint of this program: remove it, or name another"):
        load_checkpoint(path, of="abc")


def test_a_training_is_known_by_its_histories_and_options() -> None:
    one, other = [("a", daily_load(1.0, 1))], [("a", daily_load(1.0, 2))]
    options = {"epochs": 3, "seed": 1}
    assert fingerprint(one, options) == fingerprint(one, {"seed": 1, "epochs": 3})
    different = [fingerprint(other, options), fingerprint(one, {"epochs": 4, "seed": 1}), fingerprint([], options)]
    assert len({fingerprint(one, options), *different}) == 4
