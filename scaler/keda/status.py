"""The one place where an error becomes a gRPC status.

KEDA treats every status alike: the HPA gets an error, the replicas stay, `fallback` counts. The code is for
people, and for meshes in between, which repeat UNAVAILABLE at once and the others not.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

import grpc

from scaler.errors import (
    AddressRefused,
    ClientRefused,
    DeadlinePassed,
    EngineLost,
    ForesailError,
    InvalidSettings,
    InvalidTrigger,
    LimitReached,
    ModelUnusable,
    SourceError,
    StoreError,
    TenantRefused,
    TrainingFailed,
    ValueUnknown,
    ValueUnservable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CODES", "INTERNAL_TEXT", "LONGEST_TEXT", "Status", "StatusTable"]

CODES: Mapping[type[Exception], grpc.StatusCode] = {
    InvalidTrigger: grpc.StatusCode.INVALID_ARGUMENT,
    AddressRefused: grpc.StatusCode.PERMISSION_DENIED,
    ClientRefused: grpc.StatusCode.PERMISSION_DENIED,
    TenantRefused: grpc.StatusCode.PERMISSION_DENIED,
    LimitReached: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ValueUnknown: grpc.StatusCode.UNAVAILABLE,
    SourceError: grpc.StatusCode.UNAVAILABLE,
    EngineLost: grpc.StatusCode.UNAVAILABLE,
    # asking again gives the same until somebody mends the query, which is this code's definition;
    # OUT_OF_RANGE is for the caller's own argument, and the caller gave none
    ValueUnservable: grpc.StatusCode.FAILED_PRECONDITION,
    DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    # no call reads the settings or the store: here they are defects like any other
    InvalidSettings: grpc.StatusCode.INTERNAL,
    ModelUnusable: grpc.StatusCode.INTERNAL,
    StoreError: grpc.StatusCode.INTERNAL,
    TrainingFailed: grpc.StatusCode.INTERNAL,
    ForesailError: grpc.StatusCode.INTERNAL,
    Exception: grpc.StatusCode.INTERNAL,
}
"""Error type -> code; the nearest base class counts."""

INTERNAL_TEXT = "internal error of the scaler: its log has the cause"
"""A defect's own text may hold anything, so callers get this one."""

LONGEST_TEXT = 2400
"""Bytes. A status travels in a header, one byte as up to three: clients drop those beyond 8 KiB."""

_CUT = " … (cut)"
_REPEAT_AFTER = 60.0
"""Seconds between two log entries of the same defect: KEDA calls thousands of times a minute."""

_log = logging.getLogger(__name__)


class Status(NamedTuple):
    """What a failed call ends with."""

    code: grpc.StatusCode
    text: str


class StatusTable:
    """Maps errors to statuses; writes defects to the log with their cause, each at most once a minute.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged: dict[tuple[str, str, int], float] = {}  # bounded: one entry for each line that ever raised

    def status(self, error: Exception, *, method: str) -> Status:
        """The status of a call of `method` that failed with `error`."""
        code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
        if code is not grpc.StatusCode.INTERNAL:
            return Status(code, _cut(str(error)))
        self._log_defect(error, method)
        return Status(code, INTERNAL_TEXT)

    def _log_defect(self, error: Exception, method: str) -> None:
        place = _place(error)
        now = self._clock()
        last = self._logged.get(place)
        if last is None or now - last >= _REPEAT_AFTER:
            self._logged[place] = now
            _log.error("%s failed through a defect of the scaler", method, exc_info=error)


def _place(error: Exception) -> tuple[str, str, int]:
    """What makes two defects the same: the type and the line that raised it."""
    trace = error.__traceback__
    if trace is None:
        return type(error).__qualname__, "", 0
    while trace.tb_next is not None:
        trace = trace.tb_next
    return type(error).__qualname__, trace.tb_frame.f_code.co_filename, trace.tb_lineno


def _cut(text: str) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= LONGEST_TEXT:
        return text
    room = LONGEST_TEXT - len(_CUT.encode())
    return encoded[:room].decode(errors="ignore") + _CUT
