"""At the engine's door: what a trigger's namespace may ask for, and how much of it."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from scaler.engine.beside import beside_ids
from scaler.engine.history import bytes_held
from scaler.errors import InvalidTrigger, TenantRefused
from scaler.tenancy.ledger import Ledger
from scaler.tenancy.promql import enforce
from scaler.tenancy.tenants import quotas_of, tenant_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scaler.settings import Settings
    from scaler.tenancy.tenants import Quotas
    from scaler.trigger import TriggerConfig

__all__ = ["bound", "counted", "ledger_of", "tenant_name"]

_NAMESPACES = 65_536  # whose quotas are remembered


def bound(config: TriggerConfig, settings: Settings) -> TriggerConfig:
    """The trigger with the matchers that its queries get.

    Raises:
        TenantRefused: The settings do not give its namespace what it asks for.
        InvalidTrigger: Its query cannot be bound.
    """
    namespace = config.namespace_of_object
    tenant = tenant_of(namespace, settings)
    if tenant is None:
        return config
    tenant.check_source(config)
    matchers = tenant.matchers(namespace)
    enforce(config.query, matchers)
    for number, query in enumerate(config.covariates, start=1):
        try:
            enforce(query, matchers)
        except InvalidTrigger as error:
            raise InvalidTrigger([f"covariates, line {number}: {problem}" for problem in error.problems]) from error
        except TenantRefused as error:
            raise TenantRefused(f"covariates, line {number}: {error}") from error
    return replace(config, matchers=matchers) if matchers else config


def tenant_name(namespace: str, settings: Settings) -> str:
    """The namespace's tenant; "" where there are none."""
    tenant = tenant_of(namespace, settings)
    return "" if tenant is None else tenant.name


def ledger_of(settings: Settings, *, monotonic: Callable[[], float]) -> Ledger:
    """A ledger that holds each namespace to the quotas of the settings."""

    @functools.lru_cache(maxsize=_NAMESPACES)
    def quotas(namespace: str) -> Quotas:
        return quotas_of(namespace, settings)

    return Ledger(quotas_of=quotas, monotonic=monotonic)


@contextlib.contextmanager
def counted(ledger: Ledger, config: TriggerConfig, *, samples: int) -> Iterator[None]:
    """Counts the trigger with so many samples as its namespace's, unless what is done meanwhile fails.

    Raises:
        LimitReached: The namespace has no room for it.
    """
    ledger.add(
        config.key.id,
        namespace=config.namespace_of_object,
        series=config.series_id,
        size=bytes_held(samples),
        beside=beside_ids(config),
    )
    try:
        yield
    except BaseException:
        ledger.remove(config.key.id)
        raise
