"""How a source is reached and with which credentials: what triggers and named sources share."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scaler.kinds import Kind, Unreadable, choices, duration, matching, pairs, quoted, text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "ADDRESS",
    "AUTH_MODES",
    "CERTIFICATE",
    "HEADERS",
    "HEADER_NAME",
    "HEADER_VALUE",
    "PRIVATE_KEY",
    "QUERY_PARAMETERS",
    "SOURCE_NAME",
    "TENANT",
    "TIMEOUT",
    "TIMEOUT_OF_SOURCE",
    "USERNAME",
    "auth_problems",
]

_URL_SAYS = "an http or https URL such as http://prometheus.monitoring.svc:9090"
_OUTSIDE_URL = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]")
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")  # a header's name, RFC 9110 section 5.6.2
_VISIBLE = re.compile(r"[\x20-\x7e]{1,16384}")
# What the HTTP client sets itself; from outside they would let one request pass for two.
_FRAMING = frozenset({"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"})
_OURS = frozenset({"query", "time", "start", "end", "step", "timeout"})  # query parameters that we set ourselves
_EXCLUSIVE = ("bearer", "basic", "custom")  # each sets the header that says who asks
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "bearer": ("bearer_token",),
    "basic": ("username",),
    "tls": ("cert", "key_pem"),
    "custom": ("custom_auth_header", "custom_auth_value"),
}
_MODE_OF: Mapping[str, str] = {
    "bearer_token": "bearer",
    "username": "basic",
    "password": "basic",
    "cert": "tls",
    "key_pem": "tls",
    "custom_auth_header": "custom",
    "custom_auth_value": "custom",
}


def _parse_address(value: str) -> str:
    """The URL in one spelling: scheme and host in lower case, no slash at the end."""
    # A value with one of these may hold a credential where the parts are not yet told apart.
    show = not set(value) & set("@?#")
    if len(value) > 2048:
        raise Unreadable(f"it has {len(value)} characters; at most 2048 are accepted", show=show)
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if _OUTSIDE_URL.search(value) or port == 0 or not _is_host(host) or parts.scheme not in {"http", "https"}:
        raise Unreadable(f"it must be {_URL_SAYS}", show=show)
    if parts.username is not None or parts.password is not None:
        raise Unreadable("it holds credentials; give them with authModes (auth_modes in a settings file)", show=False)
    if "?" in value or "#" in value:
        raise Unreadable("it has a query or a fragment, where only scheme, host, port and path belong", show=False)
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port is None else f":{port}"
    return f"{parts.scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _HOST_NAME.fullmatch(host) is not None
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _check_header(name: str, value: str) -> str | None:
    if not _TOKEN.fullmatch(name):
        return f"{quoted(name)} is not a header's name"
    if name.lower() in _FRAMING:
        return f"the header {name} is set by the HTTP client and cannot be given"
    if not _VISIBLE.fullmatch(value):
        return f"the value of the header {name} must be 1 to 16384 printable ASCII characters"
    return None


def _check_query_parameter(name: str, value: str) -> str | None:
    if not 0 < len(name) <= 128 or not name.isprintable():
        return f"{quoted(name)} is not a query parameter's name"
    if name in _OURS:
        return f"the query parameter {name} is set by Foresail and cannot be given"
    if len(value) > 4096 or not value.isprintable():
        return f"the value of the query parameter {name} must be at most 4096 printable characters"
    return None


def _parse_header_name(value: str) -> str:
    problem = _check_header(value, "-")
    if problem is not None:
        raise Unreadable(problem, echoes=True)
    return value


def _pem(what: str, marker: str) -> Kind[str]:
    says = f"{what} in PEM, with its -----BEGIN line"
    inner = text(maximum=65536, lines=True)

    def parse(value: str) -> str:
        if marker not in inner.parse(value):
            raise Unreadable(f"it must be {says}", show=False)
        return value + "\n"

    return Kind(says=says, parse=parse)


ADDRESS: Kind[str] = Kind(says=_URL_SAYS, parse=_parse_address)
AUTH_MODES = choices("bearer", "basic", "tls", "custom")
CERTIFICATE = _pem("a certificate", "-----BEGIN CERTIFICATE-----")
HEADERS = pairs(check=_check_header, same=str.lower)
HEADER_NAME: Kind[str] = Kind(says="a header's name", parse=_parse_header_name)
HEADER_VALUE = matching(_VISIBLE.pattern, "1 to 16384 printable ASCII characters", show=False)
PRIVATE_KEY = _pem("a private key", " KEY-----")
QUERY_PARAMETERS = pairs(check=_check_query_parameter)
SOURCE_NAME = matching(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    "at most 63 lower-case letters, digits and hyphens, none at its ends",
)
TENANT = text(says="a name", maximum=253)
TIMEOUT = duration(minimum=0.1, maximum=60.0, bare=0.001)  # KEDA's triggers count a bare number in milliseconds
TIMEOUT_OF_SOURCE = duration(minimum=0.1, maximum=60.0, bare=1.0)  # in the settings it counts seconds, as all there
USERNAME = matching(r"[^\x00-\x1f\x7f:\ud800-\udfff]{1,1024}", "a user's name without a colon", show=False)


def auth_problems(modes: Collection[str], given: Collection[str], names: Mapping[str, str]) -> list[str]:
    """What is wrong between the modes of authentication and the values given for them.

    Args:
        modes: The modes asked for.
        given: The fields that have a value: bearer_token, username, ...
        names: Field -> its name outside; `auth_modes` among them.
    """
    list_name = names["auth_modes"]
    problems = []
    rivals = [mode for mode in _EXCLUSIVE if mode in modes]
    if len(rivals) > 1:
        problems.append(f"{list_name} names {' and '.join(rivals)}; only one of bearer, basic and custom can be used")
    for mode in modes:
        problems += [
            f"{list_name} names {mode}, but {names[field]} is missing" for field in _NEEDED[mode] if field not in given
        ]
    problems += [
        f"{names[field]} is given, but {list_name} does not name {mode}"
        for field, mode in _MODE_OF.items()
        if field in given and mode not in modes
    ]
    return problems
