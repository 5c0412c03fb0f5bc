"""Trained models as files: read with all checks, written so that a reader never sees half of one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from forecasting.errors import InvalidState
from forecasting.fleet import FLEETS, FleetModel
from forecasting.network import NETWORKS, Network
from scaler.errors import ModelUnusable

if TYPE_CHECKING:
    from pathlib import Path

    from forecasting.pretrained import Pretrained

__all__ = ["KINDS", "ModelKind", "Trained", "read_trained", "write_atomically"]

Trained: TypeAlias = Network | FleetModel

MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class ModelKind:
    """A kind of model that is trained across series.

    Attributes:
        name: As users write it.
        setting: Which setting points at a file of this kind.
        what: In words.
        known: The models of this kind that a process knows.
        type: Their class.
        used_by: Forecasters that are fitted on top of one.
    """

    name: Literal["lstm", "fleet"]
    setting: str
    what: str
    known: Pretrained[Any]
    type: type[Trained]
    used_by: tuple[str, ...]


KINDS = {
    "lstm": ModelKind("lstm", "lstm_model", "a recurrent network", NETWORKS, Network, ("lstm", "auto")),
    "fleet": ModelKind("fleet", "fleet_model", "a fleet model", FLEETS, FleetModel, ("boosted", "auto")),
}
"""By name."""


def read_trained(path: Path, kind: ModelKind) -> Trained:
    """The model in a file.

    Raises:
        ModelUnusable: The file cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelUnusable(f"the model {path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise ModelUnusable(f"the model {path} is larger than {MAX_BYTES >> 20} MiB: it is no trained model")
    try:
        return kind.type.from_bytes(data)
    except InvalidState as error:
        raise ModelUnusable(f"the model {path} is not {kind.what} that this version can use: {error}") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file that others read: they see the old content or all of the new one, whatever happens.

    Raises:
        ModelUnusable: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ModelUnusable(f"{path} cannot be written: {error.strerror or error}") from error
