"""PEM texts for OpenSSL, which reads only files: given to it without touching a disk."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

__all__ = ["load_pair"]


def load_pair(context: ssl.SSLContext, *, cert: bytes, key: bytes) -> None:
    """Makes the certificate and its key, both PEM, the context's own.

    Raises:
        ssl.SSLError, ValueError: They are not PEM, the key is encrypted, or they do not fit together.
    """
    with _in_memory(cert) as cert_path, _in_memory(key) as key_path:
        # an empty password: OpenSSL would ask the terminal for that of an encrypted key
        context.load_cert_chain(cert_path, key_path, password="")


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """A path to the data: an anonymous file in memory, gone when closed."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
