"""What a source of metrics is to the rest of the program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import TimeSeries
    from scaler.errors import SourceError
    from scaler.sources.company import Company

__all__ = ["AsksMany", "MetricSource", "Sample", "SourceSpec"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value and the moment (epoch seconds) that it holds for. Always finite.

    `warning` is what the source said about it, in words, "" if nothing: the value may rest on partial data.
    """

    time: float
    value: float
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """Everything needed to reach one source; equal specs share one connection pool. Secrets stay out of repr."""

    kind: str  # "prometheus" or "exposition"
    address: str
    name: str = ""  # of a source named in the settings
    namespace: str = ""  # `namespace` query parameter (Thanos and the like)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query_parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    auth_modes: tuple[str, ...] = ()
    bearer_token: str = field(default="", repr=False)
    files: tuple[tuple[str, str], ...] = ()  # secret -> the file that it was read from, and is again when it changes
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    custom_auth_header: str = ""
    custom_auth_value: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)  # PEM texts, not paths
    cert: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    unsafe_ssl: bool = False
    timeout: float = 10.0  # seconds, for one request
    ignore_null_values: bool = False  # an empty result counts as 0 because the user said so

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not appear in any log line or answer."""
        return tuple(filter(None, (self.bearer_token, self.password, self.custom_auth_value, self.key)))


class MetricSource(Protocol):
    """One source. Methods raise SourceError; they never return NaN as a value, nor 0 for unknown."""

    async def instant(self, query: str) -> Sample:
        """The newest value of the query, exactly as plain KEDA would see it now."""
        ...

    async def range(self, query: str, *, start: int, end: int, step: int) -> TimeSeries:
        """The samples at start, start + step, ... up to end (multiples of step); gaps are NaN.

        Empty (length 0) if the source has nothing for the span.
        """
        ...

    async def close(self) -> None:
        """Gives back its connections."""
        ...


@runtime_checkable
class AsksMany(Protocol):
    """A source that can ask several queries in one request. Those that `company.takes`, of sources that share it."""

    @property
    def company(self) -> Company:
        """Which queries may be asked together; the same object for all sources that can ask for each other."""
        ...

    async def instant_many(self, queries: Sequence[str]) -> list[Sample | SourceError]:
        """As `instant`, for each of the queries, which are all different."""
        ...

    async def range_many(
        self, queries: Sequence[str], *, start: int, end: int, step: int
    ) -> list[TimeSeries | SourceError]:
        """As `range`, for each of the queries, which are all different."""
        ...
