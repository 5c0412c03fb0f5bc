"""The tables `[tenants.NAME]` and `[readers.NAME]` of the settings file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from scaler.connection import SOURCE_NAME
from scaler.followed import Followed
from scaler.kinds import BOOLEAN, Kind, Unreadable, integer, matching, pairs, quoted
from scaler.parameters import Schema, parameter
from scaler.secret_settings import NO_SECRETS_HERE, SECRET_SUFFIXES, SecretKeys
from scaler.telemetry.masking import protect
from scaler.tenancy.readers import Reader, digest_of
from scaler.tenancy.tenants import Tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

__all__ = [
    "BYTES",
    "FITS",
    "READER_SCHEMA",
    "SERIES",
    "TENANT_SCHEMA",
    "TRIGGERS",
    "follow_readers",
    "read_readers",
    "read_tenants",
]

_SEE = "docs/reference/settings.md"
_MOST_NAMES = 256  # of one list
_NAMESPACE = re.compile(r"[a-z0-9*?](?:[a-z0-9*?-]{0,61}[a-z0-9*?])?")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}")

TRIGGERS = integer(minimum=0, maximum=1_000_000)
SERIES = integer(minimum=0, maximum=1_000_000)
FITS = integer(minimum=0, maximum=1_000_000)
BYTES = integer(minimum=0, maximum=1 << 40)


def _names(fits: Callable[[str], object], says: str) -> Kind[tuple[str, ...]]:
    """A list of names in a settings file."""

    def of(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > _MOST_NAMES:
            raise Unreadable(f"it must be {says}")
        for item in value:
            if not isinstance(item, str) or not fits(item):
                raise Unreadable(f"{quoted(str(item))} is none of them; it must be {says}", echoes=True)
        return tuple(dict.fromkeys(value))

    return Kind(says=says, parse=lambda value: of([value]), show=",".join, of=of)


def _is_source_name(name: str) -> bool:
    try:
        return SOURCE_NAME.parse(name) == name
    except Unreadable:
        return False


def _check_label(label: str, value: str) -> str | None:
    if not _LABEL.fullmatch(label) or label == "__name__":
        return f"{quoted(label)} is not a label's name"
    if not value or len(value) > 256 or not value.isprintable():
        return f"the value of the label {label} must be 1 to 256 printable characters"
    return None


_PATTERNS = _names(
    _NAMESPACE.fullmatch, 'a list of namespaces, in which * and ? are wildcards, such as ["shop", "shop-*"]'
)
_SOURCES = _names(_is_source_name, 'a list of names of sources such as ["main"]')


@dataclass(frozen=True, slots=True, kw_only=True)
class _TenantTable:
    """The keys of one tenant."""

    namespaces: tuple[str, ...] = parameter(
        "namespaces",
        _PATTERNS,
        doc="Whose ScaledObjects it is about; `*` and `?` are wildcards. The first table in the file that has a "
        "namespace counts.",
    )
    sources: tuple[str, ...] = parameter(
        "sources", _SOURCES, default=(), doc="The named sources that its triggers may use."
    )
    own_addresses: bool = parameter(
        "own_addresses",
        BOOLEAN,
        default=False,
        doc="`true`: its triggers may also give a `serverAddress`, within the address policy.",
    )
    labels: tuple[tuple[str, str], ...] = parameter(
        "labels",
        pairs(check=_check_label),
        default=(),
        doc='Matchers that every selector of its queries gets: `labels = { namespace = "{namespace}" }`, where '
        "`{namespace}` stands for the ScaledObject's. A query that asks for another value is refused.",
    )
    namespace_triggers: int | None = parameter(
        "namespace_triggers", TRIGGERS, default=None, doc="Instead of the server's, for each of its namespaces."
    )
    namespace_series: int | None = parameter("namespace_series", SERIES, default=None, doc="Likewise.")
    namespace_fits: int | None = parameter("namespace_fits", FITS, default=None, doc="Likewise.")
    namespace_bytes: int | None = parameter("namespace_bytes", BYTES, default=None, doc="Likewise.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReaderTable:
    """The keys of one reader."""

    token: str = parameter(
        "token",
        matching(r"[\x21-\x7e]{16,4096}", "16 to 4096 printable ASCII characters without blanks", show=False),
        secret=True,
        doc="What it shows: `Authorization: Bearer TOKEN`.",
    )
    namespaces: tuple[str, ...] = parameter(
        "namespaces", _PATTERNS, doc='Which it may read of; `*` and `?` are wildcards, `["*"]` is all.'
    )


TENANT_SCHEMA = Schema(_TenantTable, see=_SEE)
READER_SCHEMA = Schema(_ReaderTable, suffixes=SECRET_SUFFIXES, instead_of_plain=NO_SECRETS_HERE, see=_SEE)
_SECRETS = SecretKeys(READER_SCHEMA)


def read_tenants(tables: object, *, sources: object, problems: list[str]) -> tuple[Tenant, ...]:
    """Reads the tenants.

    Args:
        tables: Name -> table, as the TOML file has them, in its order.
        sources: The tables of sources, good or not.
        problems: What is wrong is added here.
    """
    found = []
    for name, where, table in _each("tenants", tables, problems):
        reading = TENANT_SCHEMA.read(table, label=(where + ".{}").format)
        problems += reading.problems
        known: Container[str] = sources if isinstance(sources, dict) else ()
        unknown = [source for source in reading.values.get("sources", ()) if source not in known]
        problems += [f"{where}.sources names {quoted(source)}: there is no such source" for source in unknown]
        if reading.problems or unknown:
            continue
        values: dict[str, Any] = dict(reading.values)
        quotas = tuple(values.pop(f"namespace_{what}", None) for what in ("triggers", "series", "fits", "bytes"))
        found.append(Tenant(name=name, quotas=quotas, **values))
    return tuple(found)


def read_readers(
    tables: object, *, environ: Mapping[str, str], problems: list[str]
) -> tuple[tuple[Reader, ...], set[str]]:
    """Reads the readers; gives the environment variables that they named, too. Arguments as of `read_tenants`."""
    found: list[Reader] = []
    variables: set[str] = set()
    for name, where, table in _each("readers", tables, problems):
        variables |= _SECRETS.variables(table)
        given: dict[str, object] = {}
        try:
            for key, value in table.items():
                given[key] = _SECRETS.resolve(key, value, environ)
        except Unreadable as error:
            problems.append(f"{where}.{key} is {quoted(str(value))}: {error.reason}")
            continue
        reading = READER_SCHEMA.read(given, label=(where + ".{}").format)
        problems += reading.problems
        if reading.problems:
            continue
        token = reading.values["token"]
        protect(token)
        file = dict(_SECRETS.files(table)).get("token", "")
        found.append(
            Reader(name=name, namespaces=reading.values["namespaces"], digest=digest_of(token), token_file=file)
        )
    return tuple(found), variables


def follow_readers(readers: Sequence[Reader], *, monotonic: Callable[[], float]) -> Callable[[], tuple[Reader, ...]]:
    """Gives the readers with the tokens that their files hold now."""

    def renewed(reader: Reader, texts: Mapping[str, str]) -> Reader:
        (kind,) = [p.kind for p in READER_SCHEMA.parameters if p.name == "token"]
        token = str(kind.parse(texts["token"]))
        protect(token)
        return replace(reader, digest=digest_of(token))

    followed = [
        Followed(
            {"token": reader.token_file} if reader.token_file else {},
            reader,
            make=partial(renewed, reader),
            owner=f"reader {reader.name!r}",
            monotonic=monotonic,
        )
        for reader in readers
    ]
    return lambda: tuple(each.current() for each in followed)


def _each(kind: str, tables: object, problems: list[str]) -> list[tuple[str, str, dict[str, object]]]:
    """Name, place and content of each table."""
    if not isinstance(tables, dict):
        problems.append(f"{kind} must be tables such as [{kind}.shop]")
        return []
    found = []
    for name, table in tables.items():
        where = f"{kind}.{name}"
        if not _is_source_name(name):
            problems.append(f"{quoted(where)}: after {kind}. stands a name; it must be {SOURCE_NAME.says}")
        elif not isinstance(table, dict):
            problems.append(f"{where} must be a table, begun by a line [{where}]")
        else:
            found.append((name, where, table))
    return found
