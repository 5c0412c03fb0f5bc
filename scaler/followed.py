"""Secrets that lie in files and are replaced there now and then, as Kubernetes, cert-manager and vaults do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from scaler.kinds import Unreadable
from scaler.secret_settings import secret_in
from scaler.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LOOK_EVERY", "Followed"]

LOOK_EVERY = 10.0
"""Seconds between two looks at the files: a new secret comes long before the old one's end."""

_T = TypeVar("_T")

log = get_logger(__name__)


class Followed(Generic[_T]):
    """What is made of the files' texts: of those that they hold, or that they held when they were last good.

    Args:
        files: Which secret lies where.
        first: What was made of them when the settings were read.
        make: Makes it anew of the texts, and keeps those that are secret out of logs; raises Unreadable when they are
            no good.
        owner: Whose they are, for the log.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        first: _T,
        *,
        make: Callable[[Mapping[str, str]], _T],
        owner: str,
        monotonic: Callable[[], float],
    ) -> None:
        self._files = {name: Path(path) for name, path in files.items()}
        self._value = first
        self._make = make
        self._owner = owner
        self._monotonic = monotonic
        self._look_at = 0.0
        self._taken: list[tuple[int, ...]] = []
        self._trouble = ""

    def __repr__(self) -> str:
        return f"Followed({', '.join(map(str, self._files.values()))})"

    def current(self) -> _T:
        """What is in force; looks at the files every ten seconds at most."""
        if self._files and self._monotonic() >= self._look_at:
            self._look_at = self._monotonic() + LOOK_EVERY
            try:
                self._look()
            except (OSError, Unreadable) as error:
                trouble = error.reason if isinstance(error, Unreadable) else f"cannot be read: {error.strerror}"
                if trouble != self._trouble:
                    files = ", ".join(map(str, self._files.values()))
                    log.warning("secret.not_renewed", owner=self._owner, files=files, reason=trouble)
                self._trouble = trouble
            else:
                self._trouble = ""
        return self._value

    def _look(self) -> None:
        found = self._versions()
        if found == self._taken:
            return
        texts = {name: secret_in(path) for name, path in self._files.items()}
        if self._versions() != found:
            return  # caught in the middle of being replaced: the next look sees all of it
        self._value = self._make(texts)
        if self._taken:
            log.info("secret.renewed", owner=self._owner)
        self._taken = found

    def _versions(self) -> list[tuple[int, ...]]:
        stats = [path.stat() for path in self._files.values()]
        return [(status.st_ino, status.st_mtime_ns, status.st_size) for status in stats]
