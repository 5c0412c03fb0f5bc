"""What a forecaster around another has of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from forecasting.serialise import loads

if TYPE_CHECKING:
    from forecasting.forecaster import FittedForecaster, Forecaster

__all__ = ["Wrapping", "wrapped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """A forecaster around another.

    Attributes:
        base: The other.
    """

    base: Forecaster

    @property
    def name(self) -> str:
        """The other's."""
        return self.base.name

    def min_history(self, step: int) -> int:
        """The other's: where there is too little for what is around it, it is left alone."""
        return self.base.min_history(step)


@lru_cache(maxsize=128)
def wrapped(base: bytes) -> FittedForecaster:
    """The fitted other, stored; those asked lately are at hand."""
    return loads(base)
