"""Models learned across series, by name: the one that ships, those remembered by their digests, and the one in use.

A fitted forecaster refers to such a model by its digest: a file that is replaced, or another release, must not change
what a fitted forecaster says.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from forecasting.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PRETRAINED", "Pretrained"]

PRETRAINED = "pretrained"
"""Names the model in use: the shipped one, until `Pretrained.use` is told another."""


class Digested(Protocol):
    """A model that can be named."""

    def digest(self) -> str:
        """Names it: hexadecimal digits, the same in every process."""
        ...


M = TypeVar("M", bound=Digested)


class Pretrained(Generic[M]):
    """The models of one kind that this process knows.

    Args:
        what: What one is called in error texts.
        file: The shipped one's, in this package.
        read: From its bytes to the model.
    """

    def __init__(self, what: str, *, file: str, read: Callable[[bytes], M]) -> None:
        self._what, self._file, self._read = what, file, read
        self._remembered: dict[str, M] = {}
        self._in_use: str | None = None

    def shipped(self) -> M:
        """The model that comes with the package; read when it is first asked for."""
        if PRETRAINED not in self._remembered:
            model = self._read(files("forecasting").joinpath(self._file).read_bytes())
            self._remembered |= {PRETRAINED: model, model.digest(): model}
        return self._remembered[PRETRAINED]

    def remember(self, model: M) -> str:
        """Makes a model known to this process; returns its digest."""
        digest = model.digest()
        self._remembered[digest] = model
        return digest

    def use(self, model: M | None) -> None:
        """Makes this model the one that PRETRAINED names; None: the shipped one again."""
        self._in_use = None if model is None else self.remember(model)

    def resolve(self, name: str) -> str:
        """The digest behind a name, for a fitted forecaster to keep.

        Raises:
            InvalidParameter: None of that name is known to this process.
        """
        return self.known(name).digest() if name == PRETRAINED else name

    def known(self, name: str) -> M:
        """The model of this digest, or the one in use.

        Raises:
            InvalidParameter: None of that name is known to this process.
        """
        if name == PRETRAINED:
            return self.shipped() if self._in_use is None else self._remembered[self._in_use]
        if name not in self._remembered:
            self.shipped()  # a digest may be its own
        if name not in self._remembered:
            known = ", ".join(sorted({PRETRAINED, *self._remembered}, key=lambda known: (known != PRETRAINED, known)))
            raise InvalidParameter(f"{self._what} {name!r} is not known to this process; known are: {known}")
        return self._remembered[name]
