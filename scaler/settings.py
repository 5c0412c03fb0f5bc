"""The process's settings: a file, over it the environment, over that the command line; all problems told together.

Every key has a default that serves. The file is TOML: the keys below, a table `[sources.NAME]` for every source that
triggers may name, and `[[events]]` that many triggers share. The environment has the same keys in capitals behind
`FORESAIL_`. Secrets stand in none of them: a source says in which file or environment variable its secret is.

docs/reference/settings.md and deploy/foresail.example.toml are rendered from these declarations.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaler.errors import InvalidSettings
from scaler.event_settings import EventRule, read_events
from scaler.kinds import (
    BOOLEAN,
    DAY,
    HOUR,
    MINUTE,
    Kind,
    Unreadable,
    choice,
    duration,
    integer,
    quoted,
    show_duration,
    text,
)
from scaler.parameters import Schema, bounded, parameter
from scaler.source_settings import read_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.sources.base import SourceSpec

__all__ = ["SCHEMA", "Settings", "load_settings"]

REFERENCE = "docs/reference/settings.md"
PREFIX = "FORESAIL_"
MAX_FILE = 1 << 20  # bytes

# What Kubernetes puts into every container for a Service whose name begins with "foresail"; not ours to read.
_SERVICE_LINKS = re.compile(r"FORESAIL_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT(?:_[0-9]+_.*)?)")

_OF_COMMANDS = frozenset({"FORESAIL_CONFIG", "FORESAIL_SERVER"})  # defaults of options: --config, explain's --server

_LISTENING = "Listening"
_KEEPING = "Keeping"
_SOURCES = "Asking sources"
_ANSWERING = "Answering"
_FITTING = "Fitting"


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
    return Path(_PATH_TEXT.parse(value))


_PATH_TEXT = text(says="a path", maximum=4096)
_PATH: Kind[Path] = Kind(says="a path", parse=_parse_path)
_LISTEN: Kind[str] = Kind(says="HOST:PORT", parse=_parse_listen)
_ADDRESSES: Kind[tuple[str, ...]] = Kind(
    says="a list of HOST or HOST:PORT",
    parse=lambda value: _collect_addresses([item for item in (part.strip() for part in value.split(",")) if item]),
    show=",".join,
    of=_addresses_of,
)


def _seconds(minimum: float, maximum: float) -> Kind[float]:
    return duration(minimum=minimum, maximum=maximum, bare=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the process is told at its start. Durations are seconds, sizes bytes."""

    grpc_address: str = parameter(
        "grpc_address", _LISTEN, default="[::]:6000", group=_LISTENING, doc="Where KEDA calls; port 0 takes a free one."
    )
    http_address: str = parameter(
        "http_address",
        _LISTEN,
        default="[::]:8080",
        group=_LISTENING,
        doc="Where metrics, health and the explain API are; port 0 takes a free one.",
    )
    log_level: str = parameter(
        "log_level",
        choice("debug", "info", "warning", "error"),
        default="info",
        group=_LISTENING,
        doc="The least severe messages that are logged.",
    )
    log_format: str = parameter(
        "log_format", choice("text", "json"), default="text", group=_LISTENING, doc="For people, or one object a line."
    )

    data_dir: Path = parameter(  # noqa: RUF009 - stands for dataclasses.field, with an immutable default
        "data_dir",
        _PATH,
        default=Path("foresail-data"),
        group=_KEEPING,
        doc="Where history and the last good forecasts are kept, so that a restart answers at once.",
    )
    history_retention: float = parameter(
        "history_retention",
        _seconds(DAY, 800 * DAY),
        default=35 * DAY,
        group=_KEEPING,
        doc="How long samples are kept; bounds every trigger's `historyTimeWindow`.",
    )
    decision_log: int = parameter(
        "decision_log",
        integer(minimum=0, maximum=100_000),
        default=1000,
        group=_KEEPING,
        doc="How many changes of its served value are kept for each trigger, at most as long as samples; 0 keeps no "
        "decision log. One takes about 250 bytes; all triggers together keep at most a million.",
    )
    idle_after: float = parameter(
        "idle_after",
        _seconds(MINUTE, DAY),
        default=5 * MINUTE,
        group=_KEEPING,
        doc="A trigger that KEDA has not called for this long is dropped; its history stays. Ten poll intervals are a "
        "good measure.",
    )
    max_triggers: int = parameter(
        "max_triggers",
        integer(minimum=1, maximum=1_000_000),
        default=20_000,
        group=_KEEPING,
        doc="More triggers are refused with RESOURCE_EXHAUSTED.",
    )

    allow_addresses: tuple[str, ...] = parameter(
        "allow_addresses",
        _ADDRESSES,
        default=(),
        group=_SOURCES,
        doc="Triggers may give these addresses, `HOST` or `HOST:PORT`, although they are refused by default: loopback, "
        "link-local and the like. A source named here needs no entry.",
    )
    only_listed_addresses: bool = parameter(
        "only_listed_addresses",
        BOOLEAN,
        default=False,
        group=_SOURCES,
        doc="`true`: triggers may give no address but those of `allow_addresses`.",
    )
    observe_interval: float = parameter(
        "observe_interval",
        _seconds(1.0, 5 * MINUTE),
        default=15.0,
        group=_SOURCES,
        doc="How often each distinct series is asked for its newest value while its triggers are called.",
    )
    source_concurrency: int = parameter(
        "source_concurrency",
        integer(minimum=1, maximum=1024),
        default=16,
        group=_SOURCES,
        doc="Requests under way at once, to each source.",
    )
    max_response_bytes: int = parameter(
        "max_response_bytes",
        integer(minimum=65_536, maximum=1 << 30),
        default=32 << 20,
        group=_SOURCES,
        doc="A source's larger answer is not read to its end.",
    )

    observed_max_age: float = parameter(
        "observed_max_age",
        _seconds(1.0, HOUR),
        default=5 * MINUTE,
        group=_ANSWERING,
        doc="An older observed value is unknown: the answer is UNAVAILABLE, and KEDA's `fallback` takes over.",
    )
    forecast_max_age: float = parameter(
        "forecast_max_age",
        _seconds(1.0, 6 * HOUR),
        default=4 * MINUTE,
        group=_ANSWERING,
        doc="A forecast older than this is not served any more; the observed value is.",
    )
    asking_delay: float = parameter(
        "asking_delay",
        _seconds(0.0, 10 * MINUTE),
        default=45.0,
        group=_ANSWERING,
        doc="What passes between a load and the asking for its replicas, added to every `leadTime`: a scrape interval "
        "and an HPA sync.",
    )
    first_answer_wait: float = parameter(
        "first_answer_wait",
        _seconds(0.0, 30.0),
        default=2.0,
        group=_ANSWERING,
        doc="How long the first call of a trigger waits for its first value.",
    )
    rpc_deadline: float = parameter(
        "rpc_deadline",
        _seconds(0.1, 60.0),
        default=2.5,
        group=_ANSWERING,
        doc="The longest that any call takes; longer than `first_answer_wait`. KEDA's polling loop has no deadline of "
        "its own.",
    )
    max_concurrent_rpcs: int = parameter(
        "max_concurrent_rpcs",
        integer(minimum=1, maximum=100_000),
        default=256,
        group=_ANSWERING,
        doc="Calls under way at once; more are refused.",
    )
    max_streams: int = parameter(
        "max_streams",
        integer(minimum=0, maximum=100_000),
        default=128,
        group=_ANSWERING,
        doc="Open streams of `external-push` triggers; two a trigger.",
    )
    max_message_bytes: int = parameter(
        "max_message_bytes",
        integer(minimum=4096, maximum=16 << 20),
        default=256 << 10,
        group=_ANSWERING,
        doc="A larger request is refused.",
    )
    drain_delay: float = parameter(
        "drain_delay",
        _seconds(0.0, 5 * MINUTE),
        default=0.0,
        group=_ANSWERING,
        doc="After SIGTERM, calls are still taken for this long while readiness is already off, until Kubernetes has "
        "told everyone.",
    )
    drain_grace: float = parameter(
        "drain_grace",
        _seconds(0.0, 10 * MINUTE),
        default=20.0,
        group=_ANSWERING,
        doc="How long calls in flight may take to finish after that. Keep both together below "
        "`terminationGracePeriodSeconds`.",
    )

    fit_workers: int = parameter(
        "fit_workers",
        integer(minimum=1, maximum=256),
        default=1,
        group=_FITTING,
        doc="Processes that fit models; each may use a core.",
    )
    fit_timeout: float = parameter(
        "fit_timeout",
        _seconds(1.0, HOUR),
        default=2 * MINUTE,
        group=_FITTING,
        doc="A fit that takes longer is killed; the next simpler method takes its place.",
    )
    fit_memory: int = parameter(
        "fit_memory",
        integer(minimum=512 << 20, maximum=1 << 40),
        default=4 << 30,
        group=_FITTING,
        doc="Bytes of address space that one of these processes may take; it takes far less of real memory. A fit that "
        "wants more fails.",
    )
    refit_every: float = parameter(
        "refit_every",
        _seconds(MINUTE, 30 * DAY),
        default=6 * HOUR,
        group=_FITTING,
        doc="How long a fitted model is used, at most one history window. Fits end at multiples of it, each series' at "
        "a phase of its own, so that all replicas fit to the same samples; a young series is fitted more often.",
    )

    sources: Mapping[str, SourceSpec] = field(default_factory=lambda: MappingProxyType({}))
    events: tuple[EventRule, ...] = ()


SCHEMA = Schema(Settings, see=REFERENCE)


def load_settings(*, path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]) -> Settings:
    """Reads the settings.

    Args:
        path: The TOML file, or None for none.
        environ: The environment: `FORESAIL_GRPC_ADDRESS` and so on override the file; also where sources find the
            secrets that they name a variable for.
        overrides: Key -> text, from the command line; override both.

    Raises:
        InvalidSettings: With all problems of all three.
    """
    problems: list[str] = []
    document = {} if path is None else _document(path, problems)
    tables = document.pop("sources", {})
    sources, variables = read_sources(tables, environ=environ, problems=problems)
    events = read_events(document.pop("events", []), problems=problems)
    layers = [
        SCHEMA.read(document),
        SCHEMA.read(_from_environment(environ, variables), label=lambda name: PREFIX + name.upper()),
        SCHEMA.read(overrides, label=lambda name: f"{name} (command line)"),
    ]
    values: dict[str, object] = {}
    for layer in layers:
        problems += layer.problems
        values |= layer.values
    problems += _conflicts(values)
    if problems:
        raise InvalidSettings(bounded(problems))
    return Settings(**values, sources=MappingProxyType(sources), events=events)  # type: ignore[arg-type]  # each kind gives its field's type


def _document(path: Path, problems: list[str]) -> dict[str, object]:
    """The file's content; what is wrong with it goes to `problems`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            problems.append(f"the file {path} is larger than {MAX_FILE} bytes")
            return {}
        return tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        problems.append(f"the file {path} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"the file {path} is not UTF-8")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problems.append(f"the file {path} is not TOML: {error}")
    return {}


def _from_environment(environ: Mapping[str, str], variables: set[str]) -> dict[str, object]:
    """Our variables under the names of their keys; `variables` are those that sources take their secrets from."""
    return {
        name[len(PREFIX) :].lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX)
        and name not in variables
        and name not in _OF_COMMANDS
        and not _SERVICE_LINKS.fullmatch(name)
    }


def _conflicts(values: Mapping[str, object]) -> list[str]:
    """What must fit together, whichever of file, environment and command line it came from."""
    wait, deadline = (values.get(name, SCHEMA.defaults[name]) for name in ("first_answer_wait", "rpc_deadline"))
    if isinstance(wait, float) and isinstance(deadline, float) and wait >= deadline:
        both = f"first_answer_wait is {show_duration(wait)} and rpc_deadline {show_duration(deadline)}"
        return [f"{both}: the wait must be shorter, or a trigger's first call ends before its answer"]
    return []
