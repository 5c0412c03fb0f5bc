"""Who may read the HTTP side, by token: which namespaces each reader sees."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EVERYONE", "Reader", "digest_of", "reader_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One reader. Of its token only the digest is kept, and no repr shows that.

    Attributes:
        name: In the settings.
        namespaces: Patterns with `*` and `?` of those that it may read of.
        digest: SHA-256 of its token.
        token_file: Where that was read, and is read again when it changes; "" if it came from the environment.
    """

    name: str
    namespaces: tuple[str, ...]
    digest: bytes = field(repr=False)
    token_file: str = field(default="", repr=False)

    def sees(self, namespace: str) -> bool:
        """Whether it may read of the namespace."""
        return self.sees_all or any(fnmatchcase(namespace, pattern) for pattern in self.namespaces)

    @property
    def sees_all(self) -> bool:
        """Whether it may read of every namespace, and of the server itself."""
        return "*" in self.namespaces


EVERYONE = Reader(name="", namespaces=("*",), digest=b"")
"""Stands in where no token is asked for."""


def digest_of(token: str) -> bytes:
    """What is kept of a token: its SHA-256."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def reader_of(token: str, readers: Sequence[Reader]) -> Reader | None:
    """Whose token it is; takes the same time whichever it is, and whether it is one at all."""
    digest = digest_of(token)
    found = None
    for reader in readers:
        if hmac.compare_digest(digest, reader.digest):
            found = reader
    return found
