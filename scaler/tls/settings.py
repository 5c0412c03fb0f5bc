"""From the settings to the certificates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scaler.tls.certificates import Certificates
from scaler.tls.material import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.settings import Settings

__all__ = ["certificates_of", "files_of"]


def files_of(settings: Settings) -> TlsFiles | None:
    """The files that the settings name; None: plain text."""
    if not settings.tls_cert:
        return None
    client_ca = Path(settings.tls_client_ca) if settings.tls_client_ca else None
    return TlsFiles(cert=Path(settings.tls_cert), key=Path(settings.tls_key), client_ca=client_ca)


def certificates_of(settings: Settings, *, clock: Callable[[], float]) -> Certificates | None:
    """The certificates; None: plain text.

    Raises:
        InvalidSettings: What is wrong with the files.
    """
    files = files_of(settings)
    return None if files is None else Certificates(files, clock=clock)
