"""A source's specification whose secrets are those that their files hold now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scaler.errors import InvalidTrigger
from scaler.followed import Followed
from scaler.kinds import Unreadable
from scaler.source_settings import secret_of
from scaler.sources.tls import tls_context
from scaler.telemetry.masking import protect

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from scaler.sources.base import SourceSpec

__all__ = ["LiveSpec"]


class LiveSpec:
    """Follows the files of one source.

    Args:
        spec: As the settings, or a trigger, gave it.
        monotonic: Seconds that only grow.

    Raises:
        InvalidTrigger: Its certificates or its key cannot be used.
    """

    def __init__(self, spec: SourceSpec, *, monotonic: Callable[[], float]) -> None:
        self._first = spec
        self._tls = _Tls(spec)
        self._followed = Followed(
            dict(spec.files), spec, make=self._with, owner=f"source {spec.name!r}", monotonic=monotonic
        )

    def current(self) -> SourceSpec:
        """The specification in force; the same object until a secret changes."""
        return self._followed.current()

    def tls(self) -> ssl.SSLContext | None:
        """The TLS settings in force, None for plain HTTP; the same object until a certificate or key changes."""
        spec = self._followed.current()
        if not self._tls.is_of(spec):
            self._tls = _Tls(spec)
        return self._tls.context

    def _with(self, texts: Mapping[str, str]) -> SourceSpec:
        spec = replace(self._first, **{name: secret_of(name, text) for name, text in texts.items()})  # type: ignore[arg-type]  # texts all
        protect(*spec.secrets)
        try:
            _Tls(spec)
        except InvalidTrigger as error:  # half of a pair was replaced, say
            raise Unreadable("; ".join(error.problems)) from None
        return spec


class _Tls:
    """The context of one set of certificates."""

    def __init__(self, spec: SourceSpec) -> None:
        self._made_of = _certificates(spec)
        self.context = tls_context(spec) if spec.address.startswith("https:") else None

    def is_of(self, spec: SourceSpec) -> bool:
        return self._made_of == _certificates(spec)


def _certificates(spec: SourceSpec) -> tuple[str, str, str]:
    return spec.ca, spec.cert, spec.key
