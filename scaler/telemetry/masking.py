"""Keeps secrets out of texts that come from elsewhere: servers echo what they were sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["masked"]

# Shorter values are no secrets worth the name, and masking them would shred the text.
_SHORTEST = 4


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with every occurrence of a secret replaced by `***`; the longest secret goes first."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "***")
    return text
