"""What the settings give each namespace: sources, matchers, quotas."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from scaler.errors import TenantRefused
from scaler.kinds import quoted
from scaler.parameters import nearest

if TYPE_CHECKING:
    from scaler.settings import Settings
    from scaler.trigger import TriggerConfig

__all__ = ["UNBOUNDED", "Quotas", "Tenant", "quotas_of", "tenant_of"]


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """The most that one namespace may take; 0: no bound.

    Attributes:
        triggers: In use at once.
        series: Distinct series kept fresh.
        fits: Models fitted within an hour.
        bytes: Of samples in memory.
    """

    triggers: int = 0
    series: int = 0
    fits: int = 0
    bytes: int = 0


UNBOUNDED = Quotas()


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A group of namespaces, and what is theirs.

    Attributes:
        name: In the settings.
        namespaces: Patterns with `*` and `?`.
        sources: Names of the sources that its triggers may use.
        own_addresses: Its triggers may also give addresses, within the address policy.
        labels: (label, value) that every selector of its queries gets; `{namespace}` in a value stands for the
            ScaledObject's.
        quotas: Those of each of its namespaces that differ from the server's; None: as the server's.
    """

    name: str
    namespaces: tuple[str, ...]
    sources: tuple[str, ...] = ()
    own_addresses: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    quotas: tuple[int | None, int | None, int | None, int | None] = (None, None, None, None)

    def covers(self, namespace: str) -> bool:
        """Whether the namespace is one of its own."""
        return any(fnmatchcase(namespace, pattern) for pattern in self.namespaces)

    def matchers(self, namespace: str) -> tuple[tuple[str, str], ...]:
        """The (label, value) pairs that queries of the namespace are bound to."""
        return tuple((label, value.replace("{namespace}", namespace)) for label, value in self.labels)

    def check_source(self, config: TriggerConfig) -> None:
        """Whether the trigger may use the source that it names.

        Raises:
            TenantRefused: It may not.
        """
        if not config.source:
            if not self.own_addresses:
                refused = f"namespace {config.namespace_of_object} may not give addresses of its own"
                raise TenantRefused(f"{refused}; instead of serverAddress, give source: {_listed(self.sources)}")
        elif config.source not in self.sources:
            near = nearest(config.source, self.sources)
            hint = f"did you mean {near}?" if near else f"it may use {_listed(self.sources)}"
            refused = f"source is {quoted(config.source)}: namespace {config.namespace_of_object} may not use it"
            raise TenantRefused(f"{refused}; {hint}")


def tenant_of(namespace: str, settings: Settings) -> Tenant | None:
    """The first tenant of the settings that has the namespace; None: there are no tenants, and all may do all.

    Raises:
        TenantRefused: There are tenants, and none of them has it.
    """
    if not settings.tenants:
        return None
    found = next((tenant for tenant in settings.tenants if tenant.covers(namespace)), None)
    if found is not None:
        return found
    raise TenantRefused(
        f"namespace {namespace} belongs to no tenant of this server: let the operator add it to the namespaces of one "
        "of the tables [tenants.NAME] in its settings"
    )


def quotas_of(namespace: str, settings: Settings) -> Quotas:
    """What the namespace may take: its tenant's word, else the server's; of an unknown one, the server's."""
    own = next((tenant.quotas for tenant in settings.tenants if tenant.covers(namespace)), (None,) * 4)
    general = (
        settings.namespace_triggers,
        settings.namespace_series,
        settings.namespace_fits,
        settings.namespace_bytes,
    )
    triggers, series, fits, size = (ours if ours is not None else all_ for ours, all_ in zip(own, general, strict=True))
    return Quotas(triggers=triggers, series=series, fits=fits, bytes=size)


def _listed(names: tuple[str, ...]) -> str:
    return " or ".join(names) or "(none is given to it)"
