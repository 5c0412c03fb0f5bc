"""The process's settings: a file, over it the environment, over that the command line; all problems told together.

Every key has a default that serves. The file is TOML: the keys below, a table `[sources.NAME]` for every source that
triggers may name, and `[[events]]` that many triggers share. The environment has the same keys in capitals behind
`FORESAIL_`. Secrets stand in none of them: a source says in which file or environment variable its secret is.

docs/reference/settings.md and deploy/foresail.example.toml are rendered from these declarations.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaler.decision.lead_time import TIMING_MARGIN
from scaler.errors import InvalidSettings
from scaler.event_settings import EventRule, read_events
from scaler.kinds import (
    BOOLEAN,
    DAY,
    HOUR,
    MINUTE,
    Kind,
    choice,
    duration,
    integer,
    show_duration,
)
from scaler.parameters import Schema, bounded, parameter
from scaler.setting_kinds import ADDRESSES, CLIENT_NAMES, LISTEN, PATH, PATH_TEXT
from scaler.source_settings import read_sources
from scaler.tenancy.settings import BYTES, FITS, SERIES, TRIGGERS, read_readers, read_tenants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.sources.base import SourceSpec
    from scaler.tenancy.readers import Reader
    from scaler.tenancy.tenants import Tenant

__all__ = ["SCHEMA", "Settings", "load_settings"]

REFERENCE = "docs/reference/settings.md"
PREFIX = "FORESAIL_"
MAX_FILE = 1 << 20  # bytes

# What Kubernetes puts into every container for a Service whose name begins with "foresail"; not ours to read.
_SERVICE_LINKS = re.compile(r"FORESAIL_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT(?:_[0-9]+_.*)?)")

# defaults of options: --config, explain's --server and --token-file
_OF_COMMANDS = frozenset({"FORESAIL_CONFIG", "FORESAIL_SERVER", "FORESAIL_TOKEN"})

_LISTENING = "Listening"
_TLS = "TLS"
_KEEPING = "Keeping"
_SOURCES = "Asking sources"
_QUOTAS = "Quotas of each namespace"
_ANSWERING = "Answering"
_FITTING = "Fitting"


def _seconds(minimum: float, maximum: float) -> Kind[float]:
    return duration(minimum=minimum, maximum=maximum, bare=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the process is told at its start. Durations are seconds, sizes bytes."""

    grpc_address: str = parameter(
        "grpc_address", LISTEN, default="[::]:6000", group=_LISTENING, doc="Where KEDA calls; port 0 takes a free one."
    )
    http_address: str = parameter(
        "http_address",
        LISTEN,
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

    tls_cert: str = parameter(
        "tls_cert",
        PATH_TEXT,
        default="",
        group=_TLS,
        doc="File with this server's certificate in PEM, and those between it and its authority. With it, both ports "
        "speak TLS (1.2 or later) only. The files are read anew when they change: cert-manager may rotate them.",
    )
    tls_key: str = parameter(
        "tls_key", PATH_TEXT, default="", group=_TLS, doc="File with its private key in PEM, unencrypted."
    )
    tls_client_ca: str = parameter(
        "tls_client_ca",
        PATH_TEXT,
        default="",
        group=_TLS,
        doc="File with the authorities of clients' certificates in PEM. With it, whoever calls must show one: KEDA by "
        "`tlsClientCert` and `tlsClientKey`.",
    )
    tls_grpc_clients: tuple[str, ...] = parameter(
        "tls_grpc_clients",
        CLIENT_NAMES,
        default=(),
        group=_TLS,
        doc="Subject alternative names of the certificates that may call by gRPC, such as "
        "`keda-operator.keda.svc.cluster.local` or `spiffe://cluster.local/ns/keda/sa/keda-operator`; one of them is "
        "enough. Without any, every certificate of `tls_client_ca` may.",
    )
    tls_http: str = parameter(
        "tls_http",
        choice("off", "server", "mutual"),
        default="mutual",
        group=_TLS,
        doc="TLS of the HTTP address where `tls_cert` is given: `mutual` asks for clients' certificates where "
        "`tls_client_ca` is given, except at `/healthz` and `/readyz`, as the kubelet has none; `server` asks for "
        "none; `off` stays with plain text.",
    )
    tls_http_clients: tuple[str, ...] = parameter(
        "tls_http_clients",
        CLIENT_NAMES,
        default=(),
        group=_TLS,
        doc="As `tls_grpc_clients`, for HTTP: Prometheus, and people who ask why.",
    )

    data_dir: Path = parameter(  # noqa: RUF009 - stands for dataclasses.field, with an immutable default
        "data_dir",
        PATH,
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
        doc="For one more, the trigger that was not called for longest is let go of, if that is a minute or more; else "
        "the new one is refused with RESOURCE_EXHAUSTED.",
    )
    memory_limit: int = parameter(
        "memory_limit",
        integer(minimum=16 << 20, maximum=1 << 40),
        default=3 << 29,
        group=_KEEPING,
        doc="Bytes of memory that the engine may take for its series, reckoned at 4.1 for each step of "
        "`historyTimeWindow` and of a day before it, and 76 KiB for a model and the rest, 87 KiB with a `leadTime` of "
        "more than 7 minutes: 127 KiB for eight days of minutes and a short `leadTime`, so the default has room for "
        "12,300 of them. What goes when it is full: see `max_triggers`.",
    )

    allow_addresses: tuple[str, ...] = parameter(
        "allow_addresses",
        ADDRESSES,
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
    queries_together: int = parameter(
        "queries_together",
        integer(minimum=1, maximum=1000),
        default=50,
        group=_SOURCES,
        doc="Queries of different series in one request at most, each under a label of its own; 1 asks each alone, as "
        "KEDA does.",
    )
    max_response_bytes: int = parameter(
        "max_response_bytes",
        integer(minimum=65_536, maximum=1 << 30),
        default=32 << 20,
        group=_SOURCES,
        doc="A source's larger answer is not read to its end.",
    )

    namespace_triggers: int = parameter(
        "namespace_triggers",
        TRIGGERS,
        default=0,
        group=_QUOTAS,
        doc="Triggers in use at once; more of the same namespace are refused with RESOURCE_EXHAUSTED. 0, here as in "
        "the next three: no bound but those of the whole server.",
    )
    namespace_series: int = parameter(
        "namespace_series",
        SERIES,
        default=0,
        group=_QUOTAS,
        doc="Distinct series kept fresh; triggers that would need more are refused.",
    )
    namespace_fits: int = parameter(
        "namespace_fits",
        FITS,
        default=0,
        group=_QUOTAS,
        doc="Models fitted within an hour; beyond, the older model or the observed load serves until there is room.",
    )
    namespace_bytes: int = parameter(
        "namespace_bytes",
        BYTES,
        default=0,
        group=_QUOTAS,
        doc="Bytes of samples in memory, 4.1 for each step of `historyTimeWindow` and a bit beyond; triggers that "
        "would need more are refused.",
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
    timing_margin: float = parameter(
        "timing_margin",
        _seconds(0.0, 10 * MINUTE),
        default=TIMING_MARGIN,
        group=_ANSWERING,
        doc="Added to every `leadTime` as well, because what recurs does not recur to the minute: a load is prepared "
        "for that much earlier than its replicas take. It costs little, for the HPA keeps them for minutes anyway.",
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
        doc="Calls that may wait for their triggers' first values at once; more are refused. All others are answered, "
        "however many wait.",
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
    lstm_model: str = parameter(
        "lstm_model",
        PATH_TEXT,
        default="",
        group=_FITTING,
        doc="A file that `foresail train --model lstm` wrote, for `forecaster: lstm`; empty: the one that ships. A "
        "new one in its place is taken up without a restart.",
    )
    fleet_model: str = parameter(
        "fleet_model",
        PATH_TEXT,
        default="",
        group=_FITTING,
        doc="As `lstm_model`, of `foresail train --model fleet`, for `boosted` and `auto`.",
    )

    sources: Mapping[str, SourceSpec] = field(default_factory=lambda: MappingProxyType({}))
    events: tuple[EventRule, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    readers: tuple[Reader, ...] = ()


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
    tenants = read_tenants(document.pop("tenants", {}), sources=tables, problems=problems)
    readers, of_readers = read_readers(document.pop("readers", {}), environ=environ, problems=problems)
    variables |= of_readers
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
    return Settings(**values, sources=MappingProxyType(sources), events=events, tenants=tenants, readers=readers)  # type: ignore[arg-type]  # each kind gives its field's type


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
    return [*_tls_conflicts(values), *_wait_conflicts(values)]


def _tls_conflicts(values: Mapping[str, object]) -> list[str]:
    problems = [
        f"{given} is given without {missing}; TLS needs both"
        for given, missing in (("tls_cert", "tls_key"), ("tls_key", "tls_cert"))
        if values.get(given) and not values.get(missing)
    ]
    problems += [
        f"{name} is given without {needed}, which it needs"
        for name, needed in (
            ("tls_client_ca", "tls_cert"),
            ("tls_grpc_clients", "tls_client_ca"),
            ("tls_http_clients", "tls_client_ca"),
        )
        if values.get(name) and not values.get(needed)
    ]
    return problems


def _wait_conflicts(values: Mapping[str, object]) -> list[str]:
    wait, deadline = (values.get(name, SCHEMA.defaults[name]) for name in ("first_answer_wait", "rpc_deadline"))
    if isinstance(wait, float) and isinstance(deadline, float) and wait >= deadline:
        both = f"first_answer_wait is {show_duration(wait)} and rpc_deadline {show_duration(deadline)}"
        return [f"{both}: the wait must be shorter, or a trigger's first call ends before its answer"]
    return []
