"""Kinds of values that only settings have: addresses to listen on and to allow, paths, names of clients."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from scaler.kinds import Kind, Unreadable, quoted, text

__all__ = ["ADDRESSES", "CLIENT_NAMES", "LISTEN", "PATH", "PATH_TEXT"]

# DNS names, addresses, mail addresses and URIs (RFC 5280, section 4.2.1.6), compared as a whole
_CLIENT_NAME = re.compile(r"[A-Za-z0-9._:/@%~+-]{1,1024}")


def _parse_listen(value: str) -> str:
    host, colon, port = value.rpartition(":")
    host = host or "[::]" * len(colon)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if _is_host(bare, bracketed=bare != host) and re.fullmatch(r"[0-9]{1,5}", port) and int(port) < 65536:
        return f"{host}:{int(port)}"
    raise Unreadable("it must be HOST:PORT such as [::]:6000 or 127.0.0.1:6000")


def _is_host(host: str, *, bracketed: bool) -> bool:
    if not bracketed:
        return re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})", host) is not None
    try:
        return ipaddress.IPv6Address(host) is not None
    except ValueError:
        return False


def _collect_addresses(items: list[str]) -> tuple[str, ...]:
    for item in items:
        host, colon, port = item.rpartition(":")
        if not colon or item.endswith("]"):
            host, port = item, "1"
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        known = _is_host(bare, bracketed=bare != host)
        if not (known and re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
            raise Unreadable(
                f"{quoted(item)} is not HOST or HOST:PORT, an IPv6 address in brackets, without wildcards", echoes=True
            )
    return tuple(dict.fromkeys(item.lower() for item in items))


def _addresses_of(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unreadable('it must be a list such as ["127.0.0.1:9090"]')
    return _collect_addresses([item.strip() for item in value])


def _parse_path(value: str) -> Path:
    return Path(PATH_TEXT.parse(value))


PATH_TEXT = text(says="a path", maximum=4096)
PATH: Kind[Path] = Kind(says="a path", parse=_parse_path)
LISTEN: Kind[str] = Kind(says="HOST:PORT", parse=_parse_listen)
ADDRESSES: Kind[tuple[str, ...]] = Kind(
    says="a list of HOST or HOST:PORT",
    parse=lambda value: _collect_addresses([item for item in (part.strip() for part in value.split(",")) if item]),
    show=",".join,
    of=_addresses_of,
)


def _collect_names(items: list[str]) -> tuple[str, ...]:
    for item in items:
        if not _CLIENT_NAME.fullmatch(item):
            raise Unreadable(
                f"{quoted(item)} is no name as certificates have them; there are no wildcards", echoes=True
            )
    return tuple(dict.fromkeys(items))


def _names_of(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unreadable('it must be a list such as ["keda-operator.keda.svc"]')
    return _collect_names([item.strip() for item in value])


CLIENT_NAMES: Kind[tuple[str, ...]] = Kind(
    says="a list of subject alternative names",
    parse=lambda value: _collect_names([item for item in (part.strip() for part in value.split(",")) if item]),
    show=",".join,
    of=_names_of,
)
