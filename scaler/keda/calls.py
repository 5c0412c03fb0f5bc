"""The boundary around every call: an error becomes a status, and the observer hears of each call once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import grpc

from scaler.errors import ForesailError
from scaler.keda.status import StatusTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from google.protobuf.message import Message
    from grpc import aio

    from scaler.keda.status import Status

__all__ = ["Asked", "CallObserver", "Calls"]


class CallObserver(Protocol):
    """Told of every call that reached the servicer when it has ended; must neither raise nor wait."""

    def __call__(self, method: str, code: grpc.StatusCode, seconds: float, /) -> None:
        """One call of `method`. CANCELLED: the client went. A stream's `seconds` are those it was open."""
        ...


class Asked(Protocol):
    """A call, as far as its boundary asks."""

    def auth_context(self) -> Mapping[str, Any]:
        """What TLS knows of the caller."""
        ...


class Calls:
    """Makes the boundaries.

    Args:
        observer: Hears of every call.
        statuses: Turns errors into statuses.
        clock: Seconds that only go forward, fine enough for latencies.
        admit: Looks at what TLS knows of a caller, and raises what the call ends with; None: everyone may call.
    """

    def __init__(
        self,
        *,
        observer: CallObserver,
        statuses: StatusTable | None = None,
        clock: Callable[[], float] = time.perf_counter,
        admit: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.observer = observer
        self.statuses = statuses or StatusTable()
        self.clock = clock
        self.admit = admit

    async def check(self, context: aio.ServicerContext[Any, Any]) -> None:
        """Ends a call of health or reflection if who calls may not; the boundary does it for all others."""
        if self.admit is None:
            return
        try:
            self.admit(context.auth_context())
        except ForesailError as error:
            status = self.statuses.status(error, method="")
            await context.abort(status.code, status.text)

    def at_once(
        self, method: str, work: Callable[[bytes], Message | None], request: bytes, context: Asked
    ) -> bytes | Status | None:
        """The boundary around a call that is answered without waiting; None: `work` cannot."""
        started = self.clock()
        try:
            if self.admit is not None:
                self.admit(context.auth_context())
            response = work(request)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets its status
            status = self.statuses.status(error, method=method)
            self.observer(method, status.code, self.clock() - started)
            return status
        if response is None:
            return None
        answer = response.SerializeToString()
        self.observer(method, grpc.StatusCode.OK, self.clock() - started)
        return answer

    def boundary(self, method: str, context: aio.ServicerContext[Any, Any]) -> _Boundary:
        """An `async with` around all that one call does."""
        return _Boundary(self, method, context)


class _Boundary:
    """One call; a class and no generator function, as it runs thousands of times a second."""

    __slots__ = ("_calls", "_context", "_method", "_started")

    def __init__(self, calls: Calls, method: str, context: aio.ServicerContext[Any, Any]) -> None:
        self._calls = calls
        self._method = method
        self._context = context
        self._started = calls.clock()

    async def __aenter__(self) -> None:
        admit = self._calls.admit
        if admit is not None:
            try:
                admit(self._context.auth_context())
            except ForesailError as error:
                await self._fail(error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            await self._fail(error)
        self._observe(grpc.StatusCode.OK if error is None else grpc.StatusCode.CANCELLED)

    async def _fail(self, error: Exception) -> NoReturn:
        status = self._calls.statuses.status(error, method=self._method)
        self._observe(status.code)
        await self._context.abort(status.code, status.text)

    def _observe(self, code: grpc.StatusCode) -> None:
        self._calls.observer(self._method, code, self._calls.clock() - self._started)
