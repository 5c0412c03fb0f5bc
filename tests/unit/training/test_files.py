from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from forecasting.network import NETWORKS
from forecasting.pretrained import PRETRAINED
from scaler.errors import ModelUnusable
from scaler.training.files import KINDS, read_trained, write_atomically
from scaler.training.in_use import Change, ModelFiles
from tests.support.networks import random_network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _shipped_again() -> Iterator[None]:
    yield
    NETWORKS.use(None)


def test_a_file_gives_the_model_back(tmp_path: Path) -> None:
    path = tmp_path / "lstm.bin"
    write_atomically(path, random_network().to_bytes())
    assert read_trained(path, KINDS["lstm"]).digest() == random_network().digest()


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lstm.bin"
    with pytest.raises(ModelUnusable, match=rf"the model {path} cannot be read: No such file or directory"):
        read_trained(path, KINDS["lstm"])
    path.write_bytes(b"nonsense")
    with pytest.raises(
        ModelUnusable, match=rf"the model {path} is not a recurrent network that this version can use: "
    ):
        read_trained(path, KINDS["lstm"])
    path.write_bytes(random_network().to_bytes())
    with pytest.raises(ModelUnusable, match=r"is not a fleet model .*: these bytes are a Network, not a fleet model"):
        read_trained(path, KINDS["fleet"])
    with path.open("wb") as file:
        os.truncate(file.fileno(), 65 << 20)
    with pytest.raises(ModelUnusable, match="is larger than 64 MiB: it is no trained model"):
        read_trained(path, KINDS["lstm"])


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(ModelUnusable, match=rf"{path} cannot be written: Is a directory"):
        write_atomically(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_replaced_is_taken_up_and_a_bad_one_is_told_once_and_not(tmp_path: Path) -> None:
    path = tmp_path / "lstm.bin"
    files = ModelFiles({"lstm": str(path), "fleet": ""})
    first, second = random_network(seed=1), random_network(seed=2)
    missing = Change("lstm", path, "", f"the model {path} cannot be read: No such file or directory")
    assert files.refresh() == [missing]
    assert files.refresh() == []
    write_atomically(path, first.to_bytes())
    assert files.refresh() == [Change("lstm", path, first.digest(), "")]
    assert NETWORKS.resolve(PRETRAINED) == first.digest()
    assert files.refresh() == []
    write_atomically(path, b"nonsense")
    told = files.refresh()
    assert [change.digest for change in told] == [""]
    assert "is not a recurrent network that this version can use" in told[0].problem
    assert files.refresh() == []
    assert NETWORKS.resolve(PRETRAINED) == first.digest()
    write_atomically(path, second.to_bytes())
    assert files.refresh() == [Change("lstm", path, second.digest(), "")]
    assert NETWORKS.resolve(PRETRAINED) == second.digest()
    assert NETWORKS.known(first.digest()).digest() == first.digest()  # what was fitted with it goes on


def test_a_worker_is_told_the_files_as_arguments(tmp_path: Path) -> None:
    files = ModelFiles({"lstm": str(tmp_path / "a=b.bin"), "fleet": ""})
    assert files.arguments == (f"lstm={tmp_path}/a=b.bin",)
    assert ModelFiles.from_arguments(files.arguments).arguments == files.arguments
