"""A source: each step of the way to it, then what it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaler.doctor.check import Check, Finding, fail, good, warn
from scaler.errors import NoData, SourceDenied, SourceError
from scaler.kinds import DAY, MINUTE
from scaler.sources.probe import Probe
from scaler.sources.transport import resolve
from scaler.words import duration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from scaler.sources.address import AddressPolicy, IPAddress
    from scaler.sources.base import SourceSpec
    from scaler.sources.factory import SourcePool

__all__ = ["Tools", "source_checks"]

_SKEW = 5.0  # seconds: an observed value that is this much older than thought begins to matter
_TOO_MUCH_SKEW = MINUTE  # a step of the usual grid, so forecasts are for the wrong moment
_DATE_GRAIN = 1.0  # seconds, of HTTP's Date
_EXPIRES_SOON = 14 * DAY
_ANY_METRIC = "up"  # of a metrics page, asked for only to see whether it is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What checks reach out with; replaced in tests to inject faults.

    Attributes:
        pool: Opens sources.
        policy: Which addresses triggers may name.
        now: Epoch seconds.
        resolve: Gives the addresses of a host.
        sleep: Lets time pass between two scrapes.
    """

    pool: SourcePool
    policy: AddressPolicy
    now: Callable[[], float] = time.time
    resolve: Callable[[str, int], Awaitable[Sequence[IPAddress]]] = field(default=resolve)
    sleep: Callable[[float], Awaitable[None]]


def source_checks(about: str, spec: SourceSpec, tools: Tools) -> list[Check]:
    """Checks of one source, in the order of the way to it; the last but one is whether it answers as it should."""
    steps = _Steps(spec, tools)
    checks: list[Check] = []

    def then(name: str, ask: Callable[[], Awaitable[Finding]], mend: str) -> None:
        checks.append(Check(about=about, name=name, ask=ask, mend=mend, needs=checks[-1] if checks else None))

    then("address", steps.address, "mend the address; what triggers may name, the settings' allow_addresses extend")
    then(
        "name",
        steps.name,
        "check the spelling; names such as prometheus.monitoring.svc are known inside the cluster only: run this "
        "there, with 'kubectl exec', as the server does",
    )
    then(
        "connection",
        steps.connection,
        "see that it runs, that the port is right, and that no NetworkPolicy or firewall stands between",
    )
    then(
        "credentials",
        steps.credentials,
        "give the source's table in the settings its auth_modes and their secrets; look whether the token has expired",
    )
    then("API", steps.api, "give the address that comes before /api/v1, or of a metrics page the page itself")
    then("clock", steps.clock, "look at the source's own log")
    return checks


class _Steps:
    def __init__(self, spec: SourceSpec, tools: Tools) -> None:
        self._spec = spec
        self._tools = tools

    def _probe(self) -> Probe:
        return Probe(self._spec, policy=self._tools.policy, resolve=self._tools.resolve)

    async def address(self) -> Finding:
        probe = self._probe()
        return good(f"{probe.shown} ({self._spec.kind})")

    async def name(self) -> Finding:
        probe = self._probe()
        found = await probe.addresses()
        if [str(address) for address in found] == [probe.host]:
            return good(f"{probe.host} needs no resolving")
        return good(f"{probe.host} is {', '.join(map(str, found))}")

    async def connection(self) -> Finding:
        made = await self._probe().connect()
        if not made.tls:
            return good("it takes connections, without TLS")
        if self._spec.unsafe_ssl:
            return warn(
                f"it speaks {made.tls}, its certificate is not checked (unsafe_ssl)",
                "give the authority's certificate as ca instead: whoever stands between can read the credentials",
            )
        left = (made.expires or 0.0) - self._tools.now()
        found = f"it speaks {made.tls}, its certificate is good for {duration(left)}"
        return good(found) if left > _EXPIRES_SOON else warn(found, "have it renewed before it ends")

    async def credentials(self) -> Finding:
        modes = ", ".join(self._spec.auth_modes)
        try:
            await self._tools.pool.clock(self._spec)
        except SourceDenied:
            raise
        except SourceError:
            return good("not refused")  # what else is wrong is the next check's matter
        if not modes:
            return good("none are sent, none are asked for")
        if self._probe().shown.startswith("http:"):
            return warn(
                f"{modes}: accepted, and sent without TLS",
                "use https, so that nobody between can read them, unless a service mesh encrypts",
            )
        return good(f"{modes}: accepted")

    async def api(self) -> Finding:
        if self._spec.kind == "prometheus":
            await self._tools.pool.clock(self._spec)
            return good("it answers PromQL as Prometheus does")
        source = self._tools.pool.open(self._spec)
        try:
            await source.instant(_ANY_METRIC)
        except NoData:
            pass  # a page without this metric is a page all the same
        finally:
            await source.close()
        return good("it is a page of metrics")

    async def clock(self) -> Finding:
        now = self._tools.now
        sent = now()
        try:
            theirs = await self._tools.pool.clock(self._spec)
        except NoData as error:
            return good(str(error))
        received = now()
        grain = 0.0 if self._spec.kind == "prometheus" else _DATE_GRAIN
        # it was read somewhere between: only what lies outside is known to be wrong
        ahead, behind = theirs - received, sent - theirs - grain
        skew = max(ahead, behind, 0.0)
        which = "ahead of" if ahead > 0 else "behind"
        if skew <= _SKEW:
            return good(f"it agrees with this machine's to {duration(max(skew, received - sent + grain, 0.1))}")
        found = f"the source's clock is {duration(skew)} {which} this machine's"
        mend = "let both keep time with NTP or chrony: values are asked for, and forecasts made, for moments"
        return fail(found, mend) if skew > _TOO_MUCH_SKEW else warn(found, mend)
