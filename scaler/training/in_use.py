"""The trained models that settings point at, as files that may be replaced while the program runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaler.errors import ModelUnusable
from scaler.training.files import KINDS, read_trained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler.settings import Settings

__all__ = ["Change", "ModelFiles", "let_go", "take_up"]


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is new, or was replaced.

    Attributes:
        kind: Of model; see `scaler.training.files.KINDS`.
        path: The file.
        digest: Names the model that is in use now; "" if the file cannot be used.
        problem: Why the file cannot be used, so that what was in use before is kept; "" if it can.
    """

    kind: str
    path: Path
    digest: str
    problem: str


class ModelFiles:
    """Files of trained models by kind: `refresh` takes up those that have changed. Blocking.

    Args:
        paths: By kind; an empty text: the model that ships.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = {kind: Path(path) for kind, path in paths.items() if path}
        self._seen: dict[str, object] = {}

    @classmethod
    def of(cls, settings: Settings) -> ModelFiles:
        """Those that the settings point at."""
        return cls({name: getattr(settings, kind.setting) for name, kind in KINDS.items()})

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> ModelFiles:
        """Those that `arguments` told."""
        return cls(dict(argument.split("=", 1) for argument in arguments))

    @property
    def arguments(self) -> tuple[str, ...]:
        """As a fit worker is told them: `KIND=PATH` each."""
        return tuple(f"{kind}={path}" for kind, path in self._paths.items())

    def refresh(self) -> list[Change]:
        """Looks at the files; makes the models of those that are new the ones in use.

        A file that cannot be used is told once, and what was in use before is kept.
        """
        out = []
        for kind, path in self._paths.items():
            look = _look(path)
            if kind in self._seen and self._seen[kind] == look:
                continue
            self._seen[kind] = look
            try:
                model = read_trained(path, KINDS[kind])
            except ModelUnusable as error:
                out.append(Change(kind, path, "", str(error)))
                continue
            KINDS[kind].known.use(model)
            out.append(Change(kind, path, model.digest(), ""))
        return out


def take_up(arguments: Sequence[str]) -> None:
    """Makes these models the ones in use in this process: for commands that end with their work.

    Args:
        arguments: As `ModelFiles.arguments` tells them.

    Raises:
        ModelUnusable: One of the files cannot be used.
    """
    for change in ModelFiles.from_arguments(arguments).refresh():
        if change.problem:
            raise ModelUnusable(change.problem)


def let_go() -> None:
    """Makes the models that ship the ones in use again."""
    for kind in KINDS.values():
        kind.known.use(None)


def _look(path: Path) -> object:
    """What tells one content of a file from the next; replacing a file changes its inode."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
