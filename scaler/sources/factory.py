"""From a specification to a source; equal specifications share their connections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, TypeAlias

import httpx

from scaler.errors import InvalidTrigger
from scaler.sources.company import Company
from scaler.sources.exposition import ExpositionSource
from scaler.sources.fetch import DEFAULT_MAX_BYTES, RetryPolicy, Timing
from scaler.sources.live import LiveSpec
from scaler.sources.prometheus import PrometheusSource
from scaler.sources.transport import GuardedBackend, GuardedTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forecasting.series import TimeSeries
    from scaler.errors import SourceError
    from scaler.sources.address import AddressPolicy
    from scaler.sources.base import MetricSource, Sample, SourceSpec

__all__ = ["SourcePool"]

_Source: TypeAlias = PrometheusSource | ExpositionSource
_KINDS: dict[str, Callable[..., _Source]] = {"prometheus": PrometheusSource, "exposition": ExpositionSource}


@dataclass(slots=True)
class _Shared:
    """The connections of equal specifications, and how many sources use them."""

    client: httpx.AsyncClient
    live: LiveSpec
    companies: dict[bool, Company]  # by `ignore_null_values`: those who read an answer alike
    users: int = 0


class SourcePool:
    """Opens sources. `open` is what the engine calls `open_source`.

    Args:
        policy: Which addresses a specification may name. A source named in the settings is the operator's own
            word: its address is allowed.
        max_bytes: The most bytes of one answer, decompressed.
        connections: The most connections to one source at once.
        together: Queries in one request at most, for sources that take several.
        retry: When to try again.
        timing: Clocks and chance.
    """

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        max_bytes: int = DEFAULT_MAX_BYTES,
        connections: int = 16,
        together: int = 1,
        retry: RetryPolicy | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._policy = policy
        self._max_bytes = max_bytes
        self._connections = connections
        self._together = together
        self._retry = retry or RetryPolicy()
        self._timing = timing or Timing()
        self._shared: dict[SourceSpec, _Shared] = {}

    def open(self, spec: SourceSpec) -> MetricSource:
        """A source of its own over shared connections; its `close` gives up its share.

        Raises:
            AddressRefused: The policy refuses what can be seen of the address without resolving it.
            InvalidTrigger: The kind is unknown, or a header, certificate or key cannot be used.
        """
        return self._lease(spec)

    async def clock(self, spec: SourceSpec) -> float:
        """The source's own clock, epoch seconds; of a metrics page, whole seconds.

        Raises:
            NoData: It does not tell.
            SourceError: It does not answer as it should.
        """
        lease = self._lease(spec)
        try:
            return await lease.clock()
        finally:
            await lease.close()

    def _lease(self, spec: SourceSpec) -> _Lease:
        kind = _KINDS.get(spec.kind)
        if kind is None:
            raise InvalidTrigger([f"no source is of the kind {spec.kind!r}; it is one of {', '.join(sorted(_KINDS))}"])
        key = replace(spec, ignore_null_values=False)  # a matter of reading answers, not of connections
        shared = self._shared.get(key) or self._open(spec)
        # made without a company it would make one of its own, with a nonce that takes longer than all the rest
        company = {"company": shared.companies[spec.ignore_null_values]} if kind is PrometheusSource else {}
        source = kind(
            spec,
            client=shared.client,
            retry=self._retry,
            max_bytes=self._max_bytes,
            timing=self._timing,
            live=shared.live,
            **company,
        )
        self._shared[key] = shared
        shared.users += 1
        lease = _LeaseOfMany if isinstance(source, PrometheusSource) else _Lease
        return lease(source, lambda: self._give_up(key))

    async def close(self) -> None:
        """Closes all connections, whoever still has a share."""
        shared, self._shared = list(self._shared.values()), {}
        for each in shared:
            await each.client.aclose()

    def _open(self, spec: SourceSpec) -> _Shared:
        policy = self._policy.trusting(spec.address) if spec.name else self._policy
        policy.read(spec.address)  # what can be refused without resolving it is
        live = LiveSpec(spec, monotonic=self._timing.monotonic)
        transport = GuardedTransport(GuardedBackend(policy), tls=live.tls, connections=self._connections)
        companies = {reading: Company(most=self._together) for reading in (False, True)}
        return _Shared(self._client(spec, transport), live, companies)

    def _client(self, spec: SourceSpec, transport: GuardedTransport) -> httpx.AsyncClient:
        # The timeout of a whole request is the fetcher's. Redirects would lead past the policy's check of the URL,
        # the environment's proxies past its check of the connection.
        return httpx.AsyncClient(
            transport=transport,
            timeout=spec.timeout,
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # none: a server could fill our memory
            headers={"User-Agent": "foresail"},
        )

    def _give_up(self, key: SourceSpec) -> httpx.AsyncClient | None:
        """One user less; the client to close if it was the last."""
        shared = self._shared.get(key)
        if shared is None:
            return None
        shared.users -= 1
        if shared.users:
            return None
        del self._shared[key]
        return shared.client


class _Lease:
    """A source whose `close` closes the connections only for the last that uses them."""

    def __init__(self, source: _Source, give_up: Callable[[], httpx.AsyncClient | None]) -> None:
        self._source = source
        self._give_up = give_up
        self._closed = False

    async def instant(self, query: str) -> Sample:
        return await self._source.instant(query)

    async def range(self, query: str, *, start: int, end: int, step: int) -> TimeSeries:
        return await self._source.range(query, start=start, end=end, step=step)

    async def clock(self) -> float:
        return await self._source.clock()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        client = self._give_up()
        if client is not None:
            await client.aclose()


class _LeaseOfMany(_Lease):
    """The same of a source that can ask several queries in one request."""

    _source: PrometheusSource

    @property
    def company(self) -> Company:
        return self._source.company

    async def instant_many(self, queries: Sequence[str]) -> list[Sample | SourceError]:
        return await self._source.instant_many(queries)

    async def range_many(
        self, queries: Sequence[str], *, start: int, end: int, step: int
    ) -> list[TimeSeries | SourceError]:
        return await self._source.range_many(queries, start=start, end=end, step=step)
