"""A gRPC server on gRPC's core: the same calls as `grpc.aio` answers, for a third to a half of its CPU.

`grpc.aio` wakes the event loop for each of the four steps of a call. Here one thread takes calls up and reads their
requests, and the event loop hears of them when they are whole, of many at once when there are many. What can be
answered without waiting is answered there and then; all else runs in a task, by the same servicers that `grpc.aio`
takes. No servicer runs outside of the event loop.

It builds on what gRPC's own synchronous server builds on (`grpc._server`), which gRPC promises nobody to keep; so
`usable` tries it out first (docs/adr/0006-grpc-core.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # gRPC's types leave it out

from scaler.keda.core_call import Call, Deed, ending
from scaler.keda.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scaler.keda.core_call import AtOnce

__all__ = ["CoreServer", "usable"]

_log = logging.getLogger(__name__)

_ARMED = 64
"""Calls that the core may hand over before it hears of the first again."""
_WHOLE = 1024
"""Requests that may wait for the event loop; further calls stay in the core's queue, which has a bound of its own."""
_IN_A_ROW = 64
"""Requests taken up in one turn of the loop: a few milliseconds. Others get their turns between."""

_UNKNOWN_METHOD: Final = Status(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
_TOO_MANY: Final = Status(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")


class CoreServer:
    """Make and use it within a running event loop. Its methods are those of `grpc.aio.Server` of the same names.

    Args:
        options: Arguments of gRPC's core.
        most: Calls that may have begun and not ended; more get RESOURCE_EXHAUSTED.
        at_once: By the full names of methods, how to answer without waiting; where that gives None, and for all other
            methods, the servicer is asked.
    """

    def __init__(self, *, options: Sequence[tuple[str, int]], most: int, at_once: Mapping[str, AtOnce]) -> None:
        self._server = cygrpc.Server(list(options), False)  # noqa: FBT003  # `xds`, which has no name there
        self._queue = cygrpc.CompletionQueue()
        self._server.register_completion_queue(self._queue)
        self._most = most
        self._at_once = at_once
        self._deeds: dict[str, Deed] = {}
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name="grpc", daemon=True)
        self._begun = 0  # calls that have not ended; only the thread counts
        self._whole: deque[tuple[Call, bytes | None]] = deque()  # requests that wait for the event loop
        self._woken = False
        self._unarmed: deque[None] = deque()  # one for each call that the core is not asked for while requests wait
        self._stopping = False
        self._down: asyncio.Future[None] = self._loop.create_future()
        self.tasks: set[asyncio.Task[None]] = set()

    # --- as of grpc.aio.Server -------------------------------------------------------------

    def add_generic_rpc_handlers(self, handlers: Iterable[object]) -> None:
        """Nothing: generated code registers the same methods by name, too."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Takes up a service's methods."""
        for name, handler in handlers.items():
            method = f"/{service}/{name}"
            self._deeds[method] = Deed(handler, self._at_once.get(method))

    def add_insecure_port(self, address: str) -> int:
        """Listens in plain text; returns the port. Raises RuntimeError if it cannot."""
        return _checked(self._server.add_http2_port(address.encode()), address)

    def add_secure_port(self, address: str, credentials: grpc.ServerCredentials) -> int:
        """Listens with TLS; returns the port. Raises RuntimeError if it cannot."""
        inner = credentials._credentials  # type: ignore[attr-defined]  # noqa: SLF001  # as gRPC's own servers do
        return _checked(self._server.add_http2_port(address.encode(), inner), address)

    async def start(self) -> None:
        """Takes calls from here on."""
        self._server.start()
        for _ in range(_ARMED):
            self._arm()
        self._thread.start()

    async def stop(self, grace: float | None) -> None:
        """Takes no more calls; those at work have `grace` seconds, and are cancelled then."""
        if not self._stopping:
            self._stopping = True
            if not self._thread.is_alive():
                self._server.start()  # the core wants to have been started to be shut down
                self._thread.start()
            self._server.shutdown(self._queue, self._shut_down)
        # not wait_for: in Python 3.11 that loses a cancellation that comes together with what is waited for
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace or 0.0):
                await asyncio.shield(self._down)
        if not self._down.done():
            self._server.cancel_all_calls()
            await asyncio.shield(self._down)
        if self._thread.is_alive():
            self._queue.shutdown()
            await asyncio.to_thread(self._thread.join)
            self._server.destroy()

    # --- in the thread ---------------------------------------------------------------------

    def _serve(self) -> None:
        """Takes what the core tells until its queue is closed."""
        event: Any = None
        while True:
            event = None  # a call that is held here could not be let go of
            event = self._queue.poll()
            if event.completion_type == cygrpc.CompletionType.queue_shutdown:
                return
            try:
                event.tag(event)
            except RuntimeError:
                if not self._loop.is_closed():
                    _log.exception("a step of a call failed through a defect of the scaler")
            except Exception:  # noqa: BLE001  # whatever it is, it must not end the calls of all others
                _log.exception("a step of a call failed through a defect of the scaler")

    def _arm(self) -> None:
        """Asks the core for one more call."""
        with contextlib.suppress(ValueError):  # it is being shut down
            self._server.request_call(self._queue, self._queue, self._taken)

    def _taken(self, event: Any) -> None:  # noqa: ANN401  # of the Cython layer, as those below
        """A call has begun."""
        if not event.success:  # the server is being shut down
            return
        if len(self._whole) < _WHOLE:
            self._arm()
        else:
            self._unarmed.append(None)
            self._wake()
        deed = self._deeds.get(event.call_details.method.decode("utf-8", "replace"))
        if deed is None:
            self._reject(event.call, _UNKNOWN_METHOD)
        elif self._begun >= self._most:
            self._reject(event.call, _TOO_MANY)
        else:
            self._begun += 1
            Call(self, event.call, deed).begin()

    @staticmethod
    def _reject(call: Any, status: Status) -> None:  # noqa: ANN401
        operations = (
            cygrpc.SendInitialMetadataOperation((), 0),
            ending(status),
            cygrpc.ReceiveCloseOnServerOperation(0),
        )
        call.start_server_batch(operations, _nothing)

    def ended(self) -> None:
        """A call has ended; the thread is told."""
        self._begun -= 1

    def hand_over(self, call: Call, message: bytes | None) -> None:
        """A request is whole: the event loop is told, unless it has been and has not come round to it yet."""
        self._whole.append((call, message))
        self._wake()

    def _wake(self) -> None:
        if not self._woken:  # else it comes, and sees what was put there before this was asked
            self._woken = True
            self._loop.call_soon_threadsafe(self._take_up)

    def soon(self, what: Callable[[], object]) -> None:
        """Has something done in the event loop."""
        self._loop.call_soon_threadsafe(what)

    def _shut_down(self, event: Any) -> None:  # noqa: ANN401
        del event
        self.soon(self._set_down)

    # --- in the event loop -----------------------------------------------------------------

    def _set_down(self) -> None:
        if not self._down.done():
            self._down.set_result(None)

    def _take_up(self) -> None:
        """Answers what waits, or has it answered."""
        self._woken = False
        for _ in range(min(len(self._whole), _IN_A_ROW)):
            call, message = self._whole.popleft()
            try:
                call.answer(message)
            except Exception:  # noqa: BLE001  # as above
                _log.exception("a call failed through a defect of the scaler")
        if self._whole and not self._woken:
            self._woken = True
            self._loop.call_soon(self._take_up)
        while self._unarmed and len(self._whole) < _WHOLE:
            self._unarmed.pop()
            self._arm()


def _checked(port: int, address: str) -> int:
    if not port:
        raise RuntimeError(f"cannot listen on {address}")
    return port


def _nothing(event: object) -> None:
    """Nobody waits for that."""


@cache
def usable() -> str:
    """Why the core cannot be used as this module does; empty if it can. Fast enough to ask at each start."""
    try:
        server, queue = cygrpc.Server([], False), cygrpc.CompletionQueue()  # noqa: FBT003  # as above
        server.register_completion_queue(queue)
        server.start()
        server.request_call(queue, queue, _nothing)
        server.shutdown(queue, usable)
        tags = [queue.poll().tag, queue.poll().tag]
        queue.shutdown()
        closed = queue.poll().completion_type == cygrpc.CompletionType.queue_shutdown
        server.destroy()
        for name in ("SendMessageOperation", "ReceiveMessageOperation", "auth_context"):
            getattr(cygrpc, name)
    except (AttributeError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "" if closed and usable in tags else "it ends in another way"
