"""A bearer token that lies in a file and is replaced there now and then, as Kubernetes does with service accounts'."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from scaler.connection import HEADER_VALUE
from scaler.kinds import Unreadable
from scaler.secret_settings import secret_in
from scaler.telemetry.masking import protect

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TokenFile"]

_LOOK_EVERY = 10.0  # seconds: a new token comes long before the old one's end

_log = logging.getLogger(__name__)


class TokenFile:
    """The token in force: what the file holds, or what it held when it could last be read.

    Args:
        path: The file.
        token: What it held when the settings were read.
        monotonic: Seconds that only grow.
    """

    def __init__(self, path: str, token: str, *, monotonic: Callable[[], float]) -> None:
        self._path = Path(path)
        self._token = token
        self._monotonic = monotonic
        self._look_at = 0.0
        self._version: tuple[int, ...] = ()
        self._trouble = ""

    def __repr__(self) -> str:
        return f"TokenFile({str(self._path)!r})"

    def current(self) -> str:
        """The token; looks at the file every ten seconds at most."""
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            try:
                self._look()
            except (OSError, Unreadable) as error:
                trouble = error.reason if isinstance(error, Unreadable) else f"it cannot be read: {error.strerror}"
                if trouble != self._trouble:
                    _log.warning("the token in %s is not renewed, the last one is sent on: %s", self._path, trouble)
                self._trouble = trouble
            else:
                self._trouble = ""
        return self._token

    def _look(self) -> None:
        found = self._path.stat()
        version = (found.st_ino, found.st_mtime_ns, found.st_size)
        if version != self._version:
            token = HEADER_VALUE.parse(secret_in(self._path))
            protect(token)
            self._token, self._version = token, version
