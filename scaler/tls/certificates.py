"""The certificates in force: the files' own, taken up when they change, and kept when the new ones are no good.

Whoever makes a connection asks `current`, which looks at the files' status and no more: cert-manager and Kubernetes
replace them by a rename, and a new handshake gets the new ones. Files that are caught half replaced do not fit
together; the old ones stay until they do.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, TypeAlias

from scaler.errors import InvalidSettings
from scaler.telemetry.log import get_logger
from scaler.times import iso
from scaler.tls.material import read_material, server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

from scaler.tls.material import Material, TlsFiles

__all__ = ["Certificates"]

log = get_logger(__name__)

_Status: TypeAlias = tuple[tuple[int, int, int] | None, ...]

SOON = 7 * 86_400.0
"""Seconds before its end at which a certificate is worth a word: cert-manager has renewed it long before."""


class Certificates:
    """Safe in threads: gRPC asks from one of its own.

    Args:
        files: Where they are.
        clock: Epoch seconds, for a word on those that have expired.

    Attributes:
        files: Where they are.
        changed_at: When other ones were taken up, by the clock: what TLS agreed on before is not to be trusted.

    Raises:
        InvalidSettings: What is wrong with them at the start.
    """

    def __init__(self, files: TlsFiles, *, clock: Callable[[], float]) -> None:
        self.files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._status = _status(files)
        self._material = read_material(files)
        self._context: tuple[Material, ssl.SSLContext] | None = None
        self.changed_at = -math.inf
        self._tell()

    def current(self) -> Material:
        """Those in force now."""
        with self._lock:
            status = _status(self.files)
            if status != self._status:
                self._status = status  # taken before the files are read: a change while they are is seen next time
                self._reload()
            return self._material

    def context(self) -> ssl.SSLContext:
        """A server's context with those in force now; the same one until they change."""
        material = self.current()
        with self._lock:
            if self._context is None or self._context[0] is not material:
                self._context = material, server_context(material)
            return self._context[1]

    def _reload(self) -> None:
        try:
            material = read_material(self.files)
        except InvalidSettings as error:
            log.error("tls.not_reloaded", reason=str(error), kept="the certificate read before")  # noqa: TRY400  # the text says all
            return
        if material != self._material:
            self._material, self.changed_at = material, self._clock()
            log.info("tls.reloaded", not_after=iso(material.not_after))
            self._tell()

    def _tell(self) -> None:
        """A word on a certificate that clients refuse, or soon will."""
        until, now = self._material.not_after, self._clock()
        if until <= now:
            log.error("tls.expired", cert=self.files.cert, not_after=iso(until))
        elif until - now < SOON:
            log.warning("tls.expires_soon", cert=self.files.cert, not_after=iso(until))


def _status(files: TlsFiles) -> _Status:
    return tuple(_status_of(path) for path in (files.cert, files.key, files.client_ca) if path is not None)


def _status_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
