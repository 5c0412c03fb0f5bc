"""Quantile levels that more than one part agrees on; imports nothing."""

from __future__ import annotations

__all__ = ["DEFAULT_LEVEL"]

DEFAULT_LEVEL = 0.9
"""Where nothing is known of the premiums."""
