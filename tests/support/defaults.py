"""Defaults of trigger metadata that answers are computed with, as docs/reference/trigger-metadata.md promises them."""

from __future__ import annotations

__all__ = ["HEADROOM"]

HEADROOM = 1.07
"""What the observed load is multiplied by."""
