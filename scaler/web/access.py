"""Who may read the HTTP side: clients by their certificates, readers by their tokens, each of its namespaces only.

/healthz and /readyz stay open: the kubelet has no certificate, and they tell nothing of anyone.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from scaler.errors import ClientRefused, ForesailError
from scaler.tenancy.readers import EVERYONE, reader_of
from scaler.tenancy.settings import follow_readers
from scaler.tls.material import subject_names

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiohttp import web

    from scaler.settings import Settings
    from scaler.tenancy.readers import Reader
    from scaler.tls.certificates import Certificates

__all__ = ["OPEN_PATHS", "Access", "NotAdmitted", "access_of"]

OPEN_PATHS = frozenset({"/healthz", "/readyz"})


class NotAdmitted(ForesailError):
    """The request is refused. Attribute `status`: 401 or 403."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        self.status = status
        super().__init__(text)


def access_of(settings: Settings, certificates: Certificates | None) -> Access:
    """Who may read by these settings, over these certificates."""
    asked = settings.tls_http == "mutual" and bool(settings.tls_client_ca)
    clients = settings.tls_http_clients if asked else ()
    readers = follow_readers(settings.readers, monotonic=time.monotonic)
    return Access(certificate=asked, clients=clients, readers=readers, certificates=certificates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Decides who may read.

    Attributes:
        certificate: A client's certificate is asked for.
        clients: Subject alternative names of those that may read; empty: every certificate that TLS took.
        readers: Gives those that have a token; none of them: none is asked for.
        certificates: Ours: sessions that TLS resumes from before they changed are not taken.
    """

    certificate: bool = False
    clients: tuple[str, ...] = ()
    readers: Callable[[], tuple[Reader, ...]] = tuple
    certificates: Certificates | None = None

    def admit(self, request: web.BaseRequest) -> Reader:
        """Who asks.

        Raises:
            NotAdmitted: Why it gets no answer, in words.
        """
        if request.path in OPEN_PATHS:
            return EVERYONE
        if self.certificate:
            self._check_certificate(request.transport)
        readers = self.readers()
        return _reader(request.headers.get("Authorization", ""), readers) if readers else EVERYONE

    def _check_session(self, transport: asyncio.BaseTransport | None) -> None:
        connection = transport.get_extra_info("ssl_object") if transport is not None else None
        since = -math.inf if self.certificates is None else self.certificates.changed_at
        if connection is not None and connection.session_reused and connection.session.time <= since:
            text = "this TLS session is from before the server's certificates were changed: connect anew, without it"
            raise NotAdmitted(HTTPStatus.UNAUTHORIZED, text)

    def _check_certificate(self, transport: asyncio.BaseTransport | None) -> None:
        shown = transport.get_extra_info("peercert") if transport is not None else None
        if not shown:
            text = "a client certificate is asked for here, and none was shown: give one of the server's tls_client_ca"
            raise NotAdmitted(HTTPStatus.UNAUTHORIZED, text)
        self._check_session(transport)
        names = subject_names(shown)
        if self.clients and {name.lower() for name in names}.isdisjoint(name.lower() for name in self.clients):
            refused = ClientRefused.with_names(names, setting="tls_http_clients")
            raise NotAdmitted(HTTPStatus.FORBIDDEN, str(refused))


def _reader(authorization: str, readers: tuple[Reader, ...]) -> Reader:
    scheme, _, token = authorization.partition(" ")
    reader = reader_of(token.strip(), readers) if scheme.lower() == "bearer" else None
    if reader is None:
        what = "is none of this server's" if authorization else "is missing"
        raise NotAdmitted(
            HTTPStatus.UNAUTHORIZED,
            f"the token {what}: send one of the server's [readers.NAME] as Authorization: Bearer TOKEN; "
            "'foresail explain' takes it from FORESAIL_TOKEN or --token-file",
        )
    return reader
