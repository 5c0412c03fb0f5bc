"""One call of `scaler.keda.core`: how its request is read, who answers it, and how the answer goes back."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # gRPC's types leave it out

from scaler.keda.status import INTERNAL_TEXT, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from scaler.keda.calls import Asked
    from scaler.keda.core import CoreServer

__all__ = ["AtOnce", "Call", "Context", "Deed", "ending"]

_log = logging.getLogger(__name__)

AtOnce: TypeAlias = "Callable[[bytes, Asked], bytes | Status | None]"
"""From a request to its answer or failure, without waiting; None: that takes waiting, or a wait is worth it."""

_FINE = Status(grpc.StatusCode.OK, "")
_NO_REQUEST = Status(grpc.StatusCode.UNIMPLEMENTED, "the call ended without a request, it must have exactly one")
_NOT_READ = Status(grpc.StatusCode.INTERNAL, "the request is no message of this method's type")
_BROKEN = Status(grpc.StatusCode.UNKNOWN, INTERNAL_TEXT)


class Deed:
    """A method: its servicer, and how to answer it at once if that is known."""

    __slots__ = ("at_once", "handler", "streams_answers", "streams_requests")

    def __init__(self, handler: Any, at_once: AtOnce | None) -> None:  # noqa: ANN401  # grpc.RpcMethodHandler, untyped
        self.handler = handler
        self.at_once = at_once
        self.streams_requests = bool(handler.request_streaming)
        self.streams_answers = bool(handler.response_streaming)

    @property
    def behavior(self) -> Any:  # noqa: ANN401
        """The servicer's method."""
        handler = self.handler
        if self.streams_requests:
            return handler.stream_stream if self.streams_answers else handler.stream_unary
        return handler.unary_stream if self.streams_answers else handler.unary_unary


class Aborted(Exception):
    """A servicer has ended its call with this status."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.text)
        self.status = status


class _Gone(Exception):
    """The client is no more."""


class Context:
    """What a servicer may ask of its call; the part of `grpc.aio.ServicerContext` that servicers here use."""

    __slots__ = ("_call",)

    def __init__(self, call: Any) -> None:  # noqa: ANN401  # of the Cython layer
        self._call = call

    def auth_context(self) -> Mapping[str, Any]:
        """What TLS knows of the caller."""
        found = cygrpc.auth_context(self._call)
        return {key.decode() if isinstance(key, bytes) else key: value for key, value in found.items()}

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        """Ends the call with this status."""
        raise Aborted(Status(code, details))


class Call:
    """A call that has begun. `begin`, `_received`, `_closed` and `_ended` run in the thread, all else in the loop."""

    __slots__ = ("_begun", "_call", "_deed", "_gone", "_open", "_server", "_task")

    def __init__(self, server: CoreServer, call: Any, deed: Deed) -> None:  # noqa: ANN401  # of the Cython layer
        self._server = server
        self._call = call
        self._deed = deed
        self._task: asyncio.Task[None] | None = None
        self._begun = False  # the answer has
        self._gone = False
        self._open = 1  # batches that must end before the call has; the last answer is one

    # --- in the thread ---------------------------------------------------------------------

    def begin(self) -> None:
        """Reads the request, of a stream the first.

        A stream that were ended before its client has sent anything would fail that client's sending.
        """
        self._call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), self._received)

    def _received(self, event: Any) -> None:  # noqa: ANN401
        self._server.hand_over(self, event.batch_operations[0].message())

    def _closed(self, event: Any) -> None:  # noqa: ANN401
        """The call is over for the client; if it has gone before its answer, nobody need work for it any more."""
        if event.batch_operations[0].cancelled():
            self._server.soon(self._leave)
        self._ended(event)

    def _ended(self, event: Any) -> None:  # noqa: ANN401
        del event
        self._open -= 1
        if not self._open:
            self._server.ended()

    # --- in the event loop -----------------------------------------------------------------

    def answer(self, message: bytes | None) -> None:
        """Answers at once, or begins a task that does."""
        deed = self._deed
        if deed.streams_requests:
            self._work(message)
        elif message is None:
            self._finish(_NO_REQUEST)
        else:
            try:
                found = None if deed.at_once is None else deed.at_once(message, Context(self._call))
            except Exception:  # noqa: BLE001  # whatever it is, the call must end
                _log.exception("a call failed through a defect of the scaler")
                found = _BROKEN
            if found is None:
                self._work(message)
            elif isinstance(found, Status):
                self._finish(found)
            else:
                self._finish(_FINE, found)

    def _finish(self, status: Status, message: bytes | None = None) -> None:
        """The end of a call that has no task, all in one."""
        self._send((*self._answers(message), ending(status), cygrpc.ReceiveCloseOnServerOperation(0)), self._ended)

    def _answers(self, message: bytes | None) -> tuple[Any, ...]:
        """What sends a message, if there is one; before the first goes what HTTP/2 wants."""
        head = () if self._begun else (cygrpc.SendInitialMetadataOperation((), 0),)
        self._begun = True
        return head if message is None else (*head, cygrpc.SendMessageOperation(message, 0))

    def _send(self, operations: tuple[Any, ...], told: Callable[[Any], None]) -> None:
        self._call.start_server_batch(operations, told)

    def _work(self, message: bytes | None) -> None:
        """Has the servicer answer in a task, which ends when the client goes."""
        self._open += 1
        self._send((cygrpc.ReceiveCloseOnServerOperation(0),), self._closed)
        self._task = asyncio.create_task(self._serve(message))
        self._server.tasks.add(self._task)
        self._task.add_done_callback(self._server.tasks.discard)

    def _leave(self) -> None:
        self._gone = True
        if self._task is not None:
            self._task.cancel()

    async def _serve(self, message: bytes | None) -> None:
        status, last = _FINE, None
        try:
            last = await self._served(message)
        except Aborted as aborted:
            status = aborted.status
        except (_Gone, asyncio.CancelledError):
            status = Status(grpc.StatusCode.CANCELLED, "")
        except Exception:  # noqa: BLE001  # as above
            _log.exception("a call failed through a defect of the scaler")
            status = _BROKEN
        self._send((*self._answers(last), ending(status)), self._ended)

    async def _served(self, message: bytes | None) -> bytes | None:
        """Sends a stream's answers; gives the one of a call that has one."""
        deed, context = self._deed, Context(self._call)
        request = self._requests(message) if deed.streams_requests else self._read(message or b"")
        if not deed.streams_answers:
            return bytes(deed.handler.response_serializer(await deed.behavior(request, context)))
        async for one in deed.behavior(request, context):
            await self._sent(self._answers(deed.handler.response_serializer(one)))
        return None

    def _read(self, message: bytes) -> object:
        try:
            return self._deed.handler.request_deserializer(message)
        except Exception:  # noqa: BLE001  # whatever protobuf raises
            raise Aborted(_NOT_READ) from None

    async def _requests(self, message: bytes | None) -> AsyncIterator[object]:
        """A stream's requests, from this first one until the client has no more."""
        while message is not None:
            yield self._read(message)
            event = await self._sent((cygrpc.ReceiveMessageOperation(0),))
            message = event.batch_operations[0].message()

    async def _sent(self, operations: tuple[Any, ...]) -> Any:  # noqa: ANN401
        """Returns the event when the core is done with these; raises _Gone if it could not do them."""
        if self._gone:
            raise _Gone
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def told(event: Any) -> None:  # noqa: ANN401
            self._server.soon(partial(_set, done, event))

        self._send(operations, told)
        event = await done
        if not event.success:
            raise _Gone
        return event


def _set(done: asyncio.Future[Any], event: Any) -> None:  # noqa: ANN401
    if not done.done():
        done.set_result(event)


def ending(status: Status) -> Any:  # noqa: ANN401  # of the Cython layer
    """What ends a call with this status."""
    return cygrpc.SendStatusFromServerOperation((), status.code.value[0], status.text.encode(errors="replace"), 0)
