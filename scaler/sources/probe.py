"""The way to a source in steps, so that the step that fails can be named: the address, its name, a connection, TLS.

The engine takes all of them at once (`scaler.sources.transport`); these are for whoever looks for a fault.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpcore

from scaler.errors import SourceUnreachable
from scaler.sources.address import endpoint, shown
from scaler.sources.tls import tls_context
from scaler.sources.transport import GuardedBackend, failure_reason, resolve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from scaler.sources.address import AddressPolicy, IPAddress
    from scaler.sources.base import SourceSpec

__all__ = ["Connection", "Probe"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a connection is like.

    Attributes:
        tls: The protocol, such as `TLSv1.3`; "" without.
        expires: When the source's certificate ends, epoch seconds; None where it is not checked, or without TLS.
    """

    tls: str = ""
    expires: float | None = None


class Probe:
    """Goes the way to one source.

    Args:
        spec: The source.
        policy: Which addresses may be asked.
        resolve: Gives the addresses of a host; may raise OSError.

    Raises:
        AddressRefused: What can be seen of the address without resolving it is refused.
    """

    def __init__(
        self,
        spec: SourceSpec,
        *,
        policy: AddressPolicy,
        resolve: Callable[[str, int], Awaitable[Sequence[IPAddress]]] = resolve,
    ) -> None:
        self._spec = spec
        self._policy = policy.trusting(spec.address) if spec.name else policy
        self._resolve = resolve
        self._url = self._policy.read(spec.address)
        self.host = self._url.host
        self.port = self._url.port or _PORTS[self._url.scheme]
        self.shown = shown(spec.address)

    async def addresses(self) -> Sequence[IPAddress]:
        """What the host's name stands for.

        Raises:
            SourceUnreachable: For nothing.
            AddressRefused: For what the policy refuses.
        """
        try:
            found = await self._resolve(self.host, self.port)
        except (OSError, UnicodeError):
            raise SourceUnreachable(f"the name {self.host} cannot be resolved") from None
        self._policy.check(self.host, self.port, found)
        return found

    async def connect(self) -> Connection:
        """Makes a connection, with TLS where the address says https, and closes it.

        Raises:
            SourceUnreachable: There is none to be had.
            AddressRefused: The policy refuses the address.
            InvalidTrigger: A certificate or key cannot be used.
        """
        where = endpoint(self.host, self.port)
        tls = tls_context(self._spec) if self._url.scheme == "https" else None
        backend = GuardedBackend(self._policy, resolve=self._resolve)
        try:
            stream = await backend.connect_tcp(self.host, self.port, timeout=self._spec.timeout)
            try:
                if tls is None:
                    return Connection()
                stream = await stream.start_tls(tls, server_hostname=self.host, timeout=self._spec.timeout)
                return _described(stream.get_extra_info("ssl_object"))
            finally:
                await stream.aclose()
        except httpcore.ConnectTimeout as error:
            raise SourceUnreachable(f"{where} did not answer within {self._spec.timeout:g} s") from error
        except httpcore.ConnectError as error:
            raise SourceUnreachable(f"{where} cannot be reached: {failure_reason(error)}") from error


def _described(tls: ssl.SSLObject) -> Connection:
    until = (tls.getpeercert() or {}).get("notAfter")
    expires = float(ssl.cert_time_to_seconds(until)) if isinstance(until, str) else None
    return Connection(tls=tls.version() or "TLS", expires=expires)
