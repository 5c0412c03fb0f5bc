"""What each namespace takes of this server, held against its quotas: a noisy one degrades only itself."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaler.errors import LimitReached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scaler.tenancy.tenants import Quotas

__all__ = ["FIT_SPAN", "Ledger", "Usage"]

FIT_SPAN = 3600.0
"""Seconds over which fits are counted."""


@dataclass(slots=True)
class Usage:
    """What one namespace takes now.

    Attributes:
        series: Series -> how many of its triggers use it, and the bytes of samples that they asked for.
        triggers: How many it has.
        bytes: Of samples, over all its series.
        fits: When models were fitted for it lately, seconds of the ledger's clock, oldest first.
    """

    series: dict[str, tuple[int, int]] = field(default_factory=dict)
    triggers: int = 0
    bytes: int = 0
    fits: deque[float] = field(default_factory=deque)


class Ledger:
    """Counts, and refuses what would be too much. Used from one event loop.

    Args:
        quotas_of: The quotas of a namespace.
        monotonic: Seconds that only grow.
    """

    def __init__(self, *, quotas_of: Callable[[str], Quotas], monotonic: Callable[[], float]) -> None:
        self._quotas_of = quotas_of
        self._monotonic = monotonic
        self._usages: dict[str, Usage] = {}
        self._entries: dict[str, tuple[str, tuple[str, ...]]] = {}  # trigger id -> namespace, series

    def add(self, trigger: str, *, namespace: str, series: str, size: int, beside: Sequence[str] = ()) -> None:
        """Takes a trigger in, which uses the series, and others beside it, with this many bytes of samples each.

        Raises:
            LimitReached: Its namespace has no room for it; nothing is counted then.
        """
        usage = self._usages.get(namespace) or Usage()
        used = tuple(dict.fromkeys((series, *beside)))
        held = [usage.series.get(one, (0, 0)) for one in used]
        more = sum(max(0, size - before) for _, before in held)
        new = sum(not users for users, _ in held)
        quotas = self._quotas_of(namespace)
        for quota, most, has, wanted, what in (
            ("namespace_triggers", quotas.triggers, usage.triggers, 1, "triggers in use"),
            ("namespace_series", quotas.series, len(usage.series), new, "distinct series"),
            ("namespace_bytes", quotas.bytes, usage.bytes, more, "bytes of samples in memory"),
        ):
            if most and wanted and has + wanted > most:
                raise LimitReached.of_namespace(namespace, quota=quota, most=most, has=has, what=what)
        self._usages[namespace] = usage
        self._entries[trigger] = namespace, used
        for one, (users, before) in zip(used, held, strict=True):
            usage.series[one] = users + 1, max(before, size)
        usage.triggers += 1
        usage.bytes += more

    def remove(self, trigger: str) -> None:
        """The trigger is not in use any more."""
        namespace, used = self._entries.pop(trigger)
        usage = self._usages[namespace]
        usage.triggers -= 1
        for series in used:
            users, size = usage.series[series]
            if users > 1:
                usage.series[series] = users - 1, size
            else:
                del usage.series[series]
                usage.bytes -= size
        if not usage.triggers and not usage.fits:
            del self._usages[namespace]

    def may_fit(self, namespaces: Iterable[str]) -> bool:
        """Whether one of these namespaces, which share a series, has a fit left."""
        return any(self._has_fit(namespace) for namespace in namespaces)

    def fitted(self, namespaces: Iterable[str]) -> None:
        """A model is being fitted for these namespaces: those that have a fit left pay for it."""
        now = self._monotonic()
        for namespace in namespaces:
            if self._has_fit(namespace):
                self._usages.setdefault(namespace, Usage()).fits.append(now)

    def usages(self) -> Iterator[tuple[str, Usage]]:
        """Each namespace that takes something."""
        for namespace in list(self._usages):
            self._forget_fits(namespace)
            if namespace in self._usages:
                yield namespace, self._usages[namespace]

    def _has_fit(self, namespace: str) -> bool:
        most = self._quotas_of(namespace).fits
        self._forget_fits(namespace)
        usage = self._usages.get(namespace)
        return not most or usage is None or len(usage.fits) < most

    def _forget_fits(self, namespace: str) -> None:
        usage = self._usages.get(namespace)
        if usage is None:
            return
        while usage.fits and self._monotonic() - usage.fits[0] >= FIT_SPAN:
            usage.fits.popleft()
        if not usage.triggers and not usage.fits:
            del self._usages[namespace]
