"""What tells one trigger from every other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TriggerKey", "digest_of"]


@dataclass(frozen=True, slots=True)
class TriggerKey:
    """Which trigger it is: KEDA's reference has no index, so two of one object differ by metadata only."""

    namespace: str
    name: str
    digest: str

    @classmethod
    def of(cls, *, namespace: str, name: str, metadata: Mapping[str, str]) -> TriggerKey:
        """The key of a call, without reading the metadata; equal maps have equal keys, in any order."""
        return cls(
            namespace,
            name,
            digest_of("metadata", *(part for item in sorted(metadata.items()) for part in item)),
        )

    @property
    def id(self) -> str:
        """`namespace/name/digest`."""
        return f"{self.namespace}/{self.name}/{self.digest}"


def digest_of(*parts: str) -> str:
    """16 hex digits of SHA-256; each part with its length, so that no two lists of parts run together."""
    whole = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]
