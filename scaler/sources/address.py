"""Which addresses this server may fetch from: tenants write the URL, so the server must not be their way in.

Refused unless listed: loopback, link-local, multicast, unspecified and reserved addresses, and the metadata services
of the clouds, which hand credentials to whoever can reach them. Private addresses are where Prometheus lives in a
cluster, so they are allowed; an operator who wants nothing but the listed ones sets `only_listed`.

An entry of the allow list is `HOST` or `HOST:PORT` (IPv6 in brackets). It is compared with the host as written in the
URL and with every address that it resolves to. There are no wildcards: an entry opens one door.

The policy is enforced where a connection is made (`scaler.sources.transport`), on the very IP address that is then
connected to: a name that resolves differently the second time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

import httpx

from scaler.errors import AddressRefused, InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["AddressPolicy", "IPAddress", "endpoint", "shown"]

IPAddress: TypeAlias = IPv4Address | IPv6Address

_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, OpenStack and most others
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",  # AWS EKS pod identity over IPv6
        "fd20:ce::254",  # Google over IPv6
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure's wire server
    )
)
_NAT64 = ip_network("64:ff9b::/96")
_IPV4_COMPATIBLE = ip_network("::/96")
_THIS_NETWORK = ip_network("0.0.0.0/8")

_ENTRY = re.compile(r"(?:\[(?P<ip>[^\]]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def shown(url: str | httpx.URL) -> str:
    """The address as texts show it: scheme, host, port and path; no user, password, query or fragment."""
    try:
        parsed = httpx.URL(url)
        return str(parsed.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")
    except (httpx.InvalidURL, TypeError):
        return "(not a URL)"


def endpoint(host: str, port: int) -> str:
    """`HOST:PORT`, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """Says of an address whether this server fetches from there.

    Attributes:
        allowed: (host, port) pairs in lower case that are allowed whatever they are; port None stands for all.
        only_listed: Nothing but the listed pairs is allowed.
    """

    allowed: frozenset[tuple[str, int | None]] = frozenset()
    only_listed: bool = False

    @classmethod
    def parse(cls, entries: Iterable[str], *, only_listed: bool = False) -> AddressPolicy:
        """Reads `HOST[:PORT]` entries.

        Raises:
            InvalidSettings: Entries that are not of this form, all of them.
        """
        pairs: set[tuple[str, int | None]] = set()
        problems: list[str] = []
        for entry in entries:
            pair = _pair(entry)
            if pair is None:
                problems.append(
                    f"allow-address {entry!r} is not HOST or HOST:PORT; write for example prometheus.monitoring.svc, "
                    "10.0.0.7:9090 or [fd00::7]:9090, one entry each and no wildcards"
                )
            else:
                pairs.add(pair)
        if problems:
            raise InvalidSettings(problems)
        return cls(allowed=frozenset(pairs), only_listed=only_listed)

    def trusting(self, url: str) -> AddressPolicy:
        """The policy that also allows this URL's host and port: for sources that the operator wrote himself."""
        parsed = _parsed(url)
        return replace(self, allowed=self.allowed | {(_plain(parsed.host), _port(parsed))})

    def read(self, url: str) -> httpx.URL:
        """Reads the URL and checks what can be seen without resolving its host.

        Raises:
            AddressRefused: Not http or https, a user or password inside, no host, or an IP address that is refused.
        """
        parsed = _parsed(url)
        if _is_ip(parsed.host):
            self.check(parsed.host, _port(parsed), [ip_address(parsed.host)])
        return parsed

    def check(self, host: str, port: int, addresses: Sequence[IPAddress]) -> None:
        """Checks every address that the host resolves to: one bad one spoils them all.

        Raises:
            AddressRefused: Which address, why, and what the operator can do.
        """
        if self._listed(host, port):
            return
        for address in addresses:
            if self._listed(str(address), port):
                continue
            kind = _refused_kind(address)
            if self.only_listed:
                kind = kind or "an address that is not on the list of allowed ones"
            if kind:
                what = "it is" if str(address) == _plain(host) else f"it resolves to {address},"
                raise AddressRefused(
                    f"address {endpoint(host, port)} is refused: {what} {kind}; give the address of the source's "
                    f"Service, or let the operator allow it with --allow-address {endpoint(host, port)}"
                )

    def _listed(self, host: str, port: int) -> bool:
        plain = _plain(host)
        return (plain, port) in self.allowed or (plain, None) in self.allowed


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise AddressRefused(
            "the address is not a URL; write for example http://prometheus.monitoring.svc:9090"
        ) from error
    if parsed.scheme not in _DEFAULT_PORTS or not parsed.host:
        raise AddressRefused(
            f"address {shown(parsed)!r} is not an http:// or https:// URL with a host; "
            "write for example http://prometheus.monitoring.svc:9090"
        )
    if parsed.userinfo:
        raise AddressRefused(
            f"address {shown(parsed)} holds a user or a password, which logs would show; "
            'set authModes to "basic" and give them as username and password'
        )
    return parsed


def _port(url: httpx.URL) -> int:
    return url.port or _DEFAULT_PORTS[url.scheme]


def _plain(host: str) -> str:
    """One spelling for each host: lower case, no root dot, IP addresses in their canonical form."""
    host = host.lower().removesuffix(".")
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def _pair(entry: str) -> tuple[str, int | None] | None:
    """The (host, port) of an entry; None if it is not of the form."""
    if _is_ip(entry):
        return _plain(entry), None
    match = _ENTRY.fullmatch(entry)
    if match is None or (match["ip"] and not _is_ip(match["ip"])):
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        return None
    return _plain(match["ip"] or match["host"]), port


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _refused_kind(address: IPAddress) -> str:
    """Why the address is refused, with its article; "" if it is not."""
    address = _embedded(address)
    kinds = (
        (address in _METADATA, "a cloud's metadata address"),
        (address.is_loopback, "a loopback address"),
        (address.is_unspecified or address in _THIS_NETWORK, "an unspecified address"),
        (address.is_link_local, "a link-local address"),
        (address.is_multicast, "a multicast address"),
        (address.is_reserved, "a reserved address"),
    )
    return next((kind for matches, kind in kinds if matches), "")


def _embedded(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 address leads to, through mapping, 6to4, Teredo or NAT64; else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    low = int(address) & 0xFFFFFFFF
    if address in _NAT64 or (address in _IPV4_COMPATIBLE and low > 1):
        return IPv4Address(low)
    return address
