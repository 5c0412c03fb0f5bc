"""Everything that can go wrong, in one tree; `scaler.keda.status` maps it to gRPC statuses.

::

    ForesailError
    ├── InvalidTrigger          a trigger's metadata has problems: all of them, in words
    ├── InvalidSettings         the settings file or environment has problems: all of them, in words
    ├── AddressRefused          the address policy does not let this server fetch from there
    ├── TenantRefused           the settings do not give this namespace what its trigger asks for
    ├── ClientRefused           the client's certificate has none of the names that may call
    ├── LimitReached            a bound on triggers, streams or sizes is reached
    ├── ValueUnknown            the load is not known: never answered as 0
    ├── ValueUnservable         the load is known but no number the HPA can take: negative, not finite, too large
    ├── DeadlinePassed          this server's own deadline for a call has passed
    ├── EngineLost              the engine process is not there to do what was asked
    ├── StoreError              the store cannot be read or written
    ├── ModelUnusable           a trained model's file cannot be read, written or used
    ├── TrainingFailed          nothing could be trained: what is missing, in words
    └── SourceError             a source did not give the value
        ├── SourceUnreachable   no connection, a timeout, a broken answer, 429, 5xx: worth another try
        ├── SourceDenied        401 or 403: the credentials are wrong
        ├── QueryRejected       the source refuses the query: it is wrong or too expensive
        ├── NoData              the query has no result, or NaN
        ├── TooManySeries       the query has several results where one is needed
        ├── ResponseTooLarge    more bytes than allowed
        └── ResponseMalformed   not what the source's API promises

Every text stands alone: it names the field or the part, the value, and what would be right. None holds a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AddressRefused",
    "ClientRefused",
    "DeadlinePassed",
    "EngineLost",
    "ForesailError",
    "InvalidSettings",
    "InvalidTrigger",
    "LimitReached",
    "ModelUnusable",
    "NoData",
    "QueryRejected",
    "ResponseMalformed",
    "ResponseTooLarge",
    "SourceDenied",
    "SourceError",
    "SourceUnreachable",
    "StoreError",
    "TenantRefused",
    "TooManySeries",
    "TrainingFailed",
    "ValueUnknown",
    "ValueUnservable",
]


_MIB = 1 << 20


class ForesailError(Exception):
    """Base of all errors of this program."""


class _Problems(ForesailError):
    """Several problems found in one reading, told together."""

    _one = "{}"
    _many = "{} problems: {}"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            text = self._one.format(self.problems[0])
        else:
            listed = "; ".join(f"({n}) {problem}" for n, problem in enumerate(self.problems, 1))
            text = self._many.format(len(self.problems), listed)
        super().__init__(text)


class InvalidTrigger(_Problems):
    """A trigger's metadata cannot be used. Attribute `problems`: one text each."""

    _one = "trigger metadata: {}"
    _many = "trigger metadata has {} problems: {}"

    @classmethod
    def told(cls, text: str) -> InvalidTrigger:
        """The error whose text another process has told."""
        error = cls([text])
        error.args = (text,)
        return error


class InvalidSettings(_Problems):
    """The settings cannot be used. Attribute `problems`: one text each."""

    _one = "settings: {}"
    _many = "settings have {} problems: {}"


class AddressRefused(ForesailError):
    """The address policy does not let this server fetch from there."""


class TenantRefused(ForesailError):
    """The settings do not give this namespace what its trigger asks for."""


class ClientRefused(ForesailError):
    """The client's certificate has none of the names that may call."""

    @classmethod
    def with_names(cls, names: Sequence[str], *, setting: str) -> ClientRefused:
        """The refusal of a certificate with these subject alternative names.

        Args:
            names: Of the certificate; none for one that has no such names, or no certificate at all.
            setting: The one that lists who may call.
        """
        shown = ", ".join(names[:8]) or "none"
        return cls(
            f"the client certificate's subject alternative names ({shown[:400]}) are not among those that may call "
            f"here: let the operator add one of them to the server's setting {setting}"
        )


class LimitReached(ForesailError):
    """A bound on triggers, streams or sizes is reached."""

    @classmethod
    def of_triggers(cls, kept: int) -> LimitReached:
        """The bound on triggers: this many are kept."""
        return cls(
            f"this server already keeps {plural(kept, 'trigger')}, its setting max_triggers, and all were called "
            "within the last minute: raise it, or run another release of the scaler for some namespaces"
        )

    @classmethod
    def of_memory(cls, *, limit: int, taken: int, wanted: int) -> LimitReached:
        """The bound on memory for series, what they take, and what another one would take; bytes."""
        return cls(
            f"the series that this server keeps take {taken / _MIB:.1f} MiB of its setting memory_limit, "
            f"{limit / _MIB:.1f} MiB, all were called within the last minute, and this trigger's would take "
            f"{wanted / 1024:.0f} KiB more: raise it, ask for a shorter historyTimeWindow, or run another release of "
            "the scaler for some namespaces"
        )

    @classmethod
    def of_namespace(cls, namespace: str, *, quota: str, most: int, has: int, what: str) -> LimitReached:
        """The bound on what one namespace may take: the setting's name, its value, what is taken, and of what."""
        return cls(
            f"namespace {namespace} has {has} {what}, and its quota {quota} is {most}: "
            "drop some of its triggers, or let the operator raise the quota; other namespaces are served on"
        )


class ValueUnknown(ForesailError):
    """The load is not known. KEDA gets an error and keeps the replicas, or uses its `fallback`."""


class ValueUnservable(ForesailError):
    """The load is no number that the HPA can take; KEDA would turn it into 0, so it gets an error."""


class DeadlinePassed(ForesailError):
    """This server's own deadline for a call has passed: KEDA's polling waits without limit."""


class EngineLost(ForesailError):
    """The engine process is not there to do what was asked."""


class StoreError(ForesailError):
    """The store cannot be read or written."""


class ModelUnusable(ForesailError):
    """A trained model's file cannot be read, written or used."""


class TrainingFailed(ForesailError):
    """Nothing could be trained from what was given, or here."""


class SourceError(ForesailError):
    """A source did not give the value. Attribute `transient`: the same request may succeed soon."""

    transient = False


class SourceUnreachable(SourceError):
    """No connection, a timeout, a broken answer, 429 or 5xx."""

    transient = True


class SourceDenied(SourceError):
    """The source refuses the credentials."""


class QueryRejected(SourceError):
    """The source refuses the query."""


class NoData(SourceError):
    """The query has no result, or NaN: unknown, never 0."""


class TooManySeries(SourceError):
    """The query has several results where one is needed."""


class ResponseTooLarge(SourceError):
    """The answer is larger than allowed."""


class ResponseMalformed(SourceError):
    """The answer is not what the source's API promises."""
