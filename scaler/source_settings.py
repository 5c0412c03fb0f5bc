"""Named sources: the tables `[sources.NAME]` of the settings file, read into SourceSpecs.

A secret is never in the file: `bearer_token_file` names the file that holds it, `bearer_token_env` the environment
variable. Both are read at the start; files are read again when they change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.connection import (
    ADDRESS,
    AUTH_MODES,
    CERTIFICATE,
    HEADER_NAME,
    HEADER_VALUE,
    HEADERS,
    PRIVATE_KEY,
    QUERY_PARAMETERS,
    SOURCE_NAME,
    TENANT,
    TIMEOUT_OF_SOURCE,
    USERNAME,
    auth_problems,
)
from scaler.kinds import BOOLEAN, Unreadable, choice, quoted, text
from scaler.parameters import Schema, parameter
from scaler.secret_settings import NO_SECRETS_HERE, SECRET_SUFFIXES, SecretKeys
from scaler.sources.base import SourceSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SOURCE_SCHEMA", "read_sources", "secret_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SourceTable:
    """The keys of one table; the fields of SourceSpec that a settings file decides."""

    kind: str = parameter(
        "kind",
        choice("prometheus", "exposition"),
        default="prometheus",
        doc="`prometheus` asks a query API; `exposition` scrapes a target's own metrics page.",
    )
    address: str = parameter(
        "address",
        ADDRESS,
        doc="Of `prometheus`, what stands before `/api/v1`; of `exposition`, the page itself, such as "
        "`http://app.shop.svc:8080/metrics`.",
    )
    namespace: str = parameter(
        "namespace", TENANT, default="", doc="Sent as the query parameter `namespace` (Thanos and others)."
    )
    headers: tuple[tuple[str, str], ...] = parameter(
        "headers",
        HEADERS,
        default=(),
        private=True,
        doc='Further headers of each request: `headers = { X-Scope-OrgID = "shop" }`.',
    )
    query_parameters: tuple[tuple[str, str], ...] = parameter(
        "query_parameters",
        QUERY_PARAMETERS,
        default=(),
        private=True,
        doc='Further query parameters of each request: `query_parameters = { dedup = "true" }`.',
    )
    timeout: float = parameter("timeout", TIMEOUT_OF_SOURCE, default=10.0, doc="For one request.")
    unsafe_ssl: bool = parameter(
        "unsafe_ssl", BOOLEAN, default=False, doc="`true`: the source's certificate is not checked."
    )
    auth_modes: tuple[str, ...] = parameter(
        "auth_modes",
        AUTH_MODES,
        default=(),
        doc="One of `bearer`, `basic` and `custom`, `tls` (a client certificate), or `tls` with one of them.",
    )
    bearer_token: str = parameter("bearer_token", HEADER_VALUE, default="", secret=True, doc="For `bearer`.")
    username: str = parameter("username", USERNAME, default="", secret=True, doc="For `basic`.")
    password: str = parameter(
        "password",
        text(says="a password", lines=True),
        default="",
        secret=True,
        doc="For `basic`; without it, the password is empty.",
    )
    custom_auth_header: str = parameter(
        "custom_auth_header", HEADER_NAME, default="", doc="For `custom`: the header's name."
    )
    custom_auth_value: str = parameter(
        "custom_auth_value", HEADER_VALUE, default="", secret=True, doc="For `custom`: the header's value."
    )
    ca: str = parameter(
        "ca",
        CERTIFICATE,
        default="",
        secret=True,
        doc="Certificates of the authorities that the source's certificate is checked against, in PEM; needs no mode.",
    )
    cert: str = parameter(
        "cert", CERTIFICATE, default="", secret=True, doc="For `tls`: the client's certificate in PEM."
    )
    key_pem: str = parameter("key", PRIVATE_KEY, default="", secret=True, doc="For `tls`: the private key in PEM.")


SOURCE_SCHEMA = Schema(
    _SourceTable,
    suffixes=SECRET_SUFFIXES,
    instead_of_plain=NO_SECRETS_HERE,
    see="docs/reference/settings.md",
)
_SECRETS = SecretKeys(SOURCE_SCHEMA)


def read_sources(
    tables: object, *, environ: Mapping[str, str], problems: list[str]
) -> tuple[dict[str, SourceSpec], set[str]]:
    """Reads the tables.

    Args:
        tables: Name -> table, as the TOML file has them.
        environ: Where `..._env` keys look.
        problems: What is wrong is added here.

    Returns:
        The sources by name, and the names of the variables that they were told to read.
    """
    sources: dict[str, SourceSpec] = {}
    variables: set[str] = set()
    if not isinstance(tables, dict):
        problems.append("sources must be tables such as [sources.main]")
        return sources, variables
    for name, table in tables.items():
        where = f"sources.{name}"
        try:
            SOURCE_NAME.parse(name)
        except Unreadable as error:
            problems.append(f"{quoted(where)}: after sources. stands a name; {error.reason}")
            continue
        if not isinstance(table, dict):
            problems.append(f"{where} must be a table, begun by a line [{where}]")
            continue
        variables |= _SECRETS.variables(table)
        spec = _source(name, table, environ, problems)
        if spec is not None:
            sources[name] = spec
    return sources, variables


def _source(
    name: str, table: Mapping[str, object], environ: Mapping[str, str], problems: list[str]
) -> SourceSpec | None:
    """One source, or None if its table has problems."""

    def label(key: str) -> str:
        return f"sources.{name}.{key}"

    before = len(problems)
    given = {}
    unresolved = set()
    for key, value in table.items():
        try:
            given[key] = _SECRETS.resolve(key, value, environ)
        except Unreadable as error:
            problems.append(f"{label(key)} is {quoted(str(value))}: {error.reason}")
            unresolved.add(_SECRETS.of(key))
    reading = SOURCE_SCHEMA.read(given, label=label)
    problems += reading.problems
    if "auth_modes" in reading.values or "auth_modes" not in reading.given:
        names = {
            field: " or ".join(map(label, outside.split(" or "))) for field, outside in SOURCE_SCHEMA.names.items()
        }
        present = {p.field for p in SOURCE_SCHEMA.parameters if p.field in reading.given or p.name in unresolved}
        problems += auth_problems(reading.values.get("auth_modes", ()), present, names)
    if len(problems) > before:
        return None
    values = reading.values
    if "key_pem" in values:
        values["key"] = values.pop("key_pem")
    return SourceSpec(**{"kind": "prometheus", **values}, name=name, files=_SECRETS.files(table))


def secret_of(name: str, text: str) -> str:
    """The secret of that name that the text is.

    Raises:
        Unreadable: The text is none.
    """
    (kind,) = [p.kind for p in SOURCE_SCHEMA.parameters if p.name == name]
    return str(kind.parse(text))
