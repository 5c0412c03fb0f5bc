"""A training's state in a file, so that a kill costs minutes: plain arrays, no pickle, old or new but never half.

A checkpoint belongs to one training: the same histories, the same options, the same version of the examples. What
it was made from is in it as a fingerprint, and another training's checkpoint is refused, not continued.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from forecasting.training.descent import State
from scaler.errors import ModelUnusable
from scaler.training.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from forecasting.series import TimeSeries

__all__ = ["fingerprint", "load_checkpoint", "save_checkpoint"]

_VERSION = 1
_HEADER = "header"


def fingerprint(histories: Sequence[tuple[str, TimeSeries]], options: Mapping[str, object]) -> str:
    """Names a training by all that its result depends on: 64 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for name, series in histories:
        digest.update(f"\n{name} {series.start} {series.step} {len(series)}\n".encode())
        digest.update(series.values.tobytes())
    return digest.hexdigest()


def save_checkpoint(path: Path, state: State, *, of: str) -> None:
    """Writes the state; whoever reads the file sees this one or the one before.

    Args:
        path: The file.
        state: What the training has become.
        of: The training's fingerprint.

    Raises:
        ModelUnusable: The file cannot be written.
    """
    header = {
        "version": _VERSION, "of": of, "batches": state.batches, "losses": state.losses, "trained": state.trained
    }  # fmt: skip
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {_HEADER: text, **state.arrays}
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, *, of: str) -> State | None:
    """The state that the file holds, None if there is no file.

    Raises:
        ModelUnusable: The file is no checkpoint, or that of another training.
    """
    try:
        # read first: of a damaged file numpy leaves the handle open
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(arrays.pop(_HEADER).tobytes())
        version, theirs = header["version"], header["of"]
        state = State(
            batches=int(header["batches"]),
            arrays=arrays,
            losses=[float(loss) for loss in header["losses"]],
            trained=float(header["trained"]),
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelUnusable(f"the checkpoint {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelUnusable(f"{path} is no checkpoint of this program: remove it, or name another file") from error
    if version != _VERSION or theirs != of:
        raise ModelUnusable(
            f"the checkpoint {path} is of another training (other histories or options, or another version): give "
            "the options it was made with, name another file with --checkpoint, or begin anew with --restart"
        )
    return state
