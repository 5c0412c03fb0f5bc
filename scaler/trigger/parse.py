"""Reading a trigger's metadata: what KEDA sends, what is refused, and what must fit together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scaler.connection import auth_problems
from scaler.errors import InvalidTrigger
from scaler.kinds import listed, quoted, show_duration
from scaler.parameters import Schema, bounded, nearest
from scaler.trigger.config import MAX_SAMPLES, MIN_SAMPLES, TriggerConfig
from scaler.trigger.key import TriggerKey

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scaler.parameters import Reading

__all__ = ["SCHEMA", "parse_trigger"]

REFERENCE = "docs/reference/trigger-metadata.md"
_OBJECT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")

SCHEMA = Schema(
    TriggerConfig,
    suffixes=("FromEnv",),
    everywhere=True,
    ignored={
        "scalerAddress": "KEDA's: where this server is",
        "enableTLS": "KEDA's: TLS on the connection to this server",
        "caCert": "KEDA's: authority of this server's certificate",
        "tlsClientCert": "KEDA's: client certificate for this server",
        "tlsClientKey": "KEDA's: its private key",
        "tlsCertFile": "KEDA's, of old: certificate file for this server",
        "metricName": "of old `prometheus` triggers; KEDA itself does not use it any more",
    },
    refused={
        "awsRegion": "is not supported: requests are not signed for AWS",
        "identityOwner": "is not supported: requests are not signed for AWS",
    },
    instead_of_plain="{name} must not stand in the metadata itself: keep it in a Secret that the scale "
    "target's container has as an environment variable, and give {name}FromEnv with the name of that variable",
    see=REFERENCE,
)

# What a named source brings along, so that a trigger cannot change it.
_OF_THE_SOURCE = (
    "tenant_namespace",
    "custom_headers",
    "query_parameters",
    "timeout",
    "auth_modes",
    "bearer_token",
    "username",
    "password",
    "ca",
    "cert",
    "key_pem",
    "custom_auth_header",
    "custom_auth_value",
)


def parse_trigger(
    *, namespace: str, name: str, metadata: Mapping[str, str], forecasters: Collection[str] = ()
) -> TriggerConfig:
    """Reads a trigger's metadata.

    Args:
        namespace: The ScaledObject's namespace.
        name: Its name.
        metadata: As KEDA sends it.
        forecasters: The names that `forecaster` may have; if empty, that is not checked here.

    Raises:
        InvalidTrigger: With all problems, each naming its field.
    """
    reading = SCHEMA.read(metadata)
    problems = [
        f"the ScaledObject's {what} is {quoted(value)}: it must be a name as Kubernetes has them"
        for what, value in (("namespace", namespace), ("name", name))
        if not _OBJECT_NAME.fullmatch(value)
    ]
    problems += reading.problems
    if not reading.refused:
        problems += _source_problems(reading)
        problems += _window_problems(reading)
        problems += _choice_problems(reading, forecasters)
    if problems:
        raise InvalidTrigger(bounded(problems))
    key = TriggerKey.of(namespace=namespace, name=name, metadata=metadata)
    return TriggerConfig(name=name, namespace_of_object=namespace, key=key, **reading.values)


def _source_problems(reading: Reading) -> list[str]:
    """Whether it is clear whom to ask, and with which credentials."""
    given = reading.given
    if "source" in given and "server_address" in given:
        return [f"source and {given['server_address']} exclude each other; give only one of them"]
    if "source" in given:
        return [
            f"{given[name]} cannot be given together with source: the server's settings say it for that"
            for name in _OF_THE_SOURCE
            if name in given
        ]
    problems = []
    if "server_address" not in given:
        problems.append("serverAddress is missing; it must be the address of a Prometheus, or give source instead")
    if "auth_modes" not in given or "auth_modes" in reading.values:
        problems += auth_problems(reading.values.get("auth_modes", ()), given, SCHEMA.names)
    return problems


def _choice_problems(reading: Reading, forecasters: Collection[str]) -> list[str]:
    """Whether what was chosen exists, and fits what else was."""
    problems = []
    levels = {"quantile": "quantile", "cost_ratio": "costRatio", "slo_shortfall": "sloShortfall"}
    several = [name for field, name in levels.items() if field in reading.given]
    if len(several) > 1:
        problems.append(f"{listed(several, 'and')} exclude each other; give only one of them")
    chosen = [name for field, name in levels.items() if reading.values.get(field) is not None]
    if "premium" in reading.given and chosen:
        problems.append(f"premium chooses the quantile, so it excludes {chosen[0]}; give only one of them")
    wanted = reading.values.get("forecaster")
    if wanted is not None and forecasters and wanted not in forecasters:
        near = nearest(wanted, forecasters)
        hint = f"known are {', '.join(sorted(forecasters))}" if near is None else f"did you mean {near}?"
        problems.append(f"forecaster is {quoted(wanted)}: there is no such forecaster; {hint}")
    return problems


def _window_problems(reading: Reading) -> list[str]:
    """Whether the history window holds a sensible number of samples."""
    if any(name in reading.given and name not in reading.values for name in ("history_window", "step")):
        return []  # told already
    window: float = reading.values.get("history_window", SCHEMA.defaults["history_window"])
    step: int = reading.values.get("step", SCHEMA.defaults["step"])
    samples = int(window // step)
    if MIN_SAMPLES <= samples <= MAX_SAMPLES:
        return []
    at_step = f"{show_duration(window)}, at a queryStep of {show_duration(step)} that is {samples} samples"
    return [f"historyTimeWindow is {at_step}: it must be {MIN_SAMPLES} to {MAX_SAMPLES} samples"]
