"""The gRPC server: the services on one port, its bounds, and how it drains."""

from __future__ import annotations

import asyncio
import errno
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import SERVICE_NAME

from scaler.errors import InvalidSettings
from scaler.keda.calls import Calls
from scaler.keda.health import Health
from scaler.keda.reflection import Reflection
from scaler.keda.servicer import SERVICE, Servicer
from scaler.keda.streams import REST, Streams
from scaler.listen import listen_error
from scaler.pb.externalscaler_pb2_grpc import add_ExternalScalerServicer_to_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import grpc

    from scaler.keda.calls import CallObserver
    from scaler.keda.core_call import AtOnce
    from scaler.keda.desk import Desk

__all__ = ["SERVICE", "KedaServer", "Limits"]

_log = logging.getLogger(__name__)

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


_UNFINISHED = 4000
"""Calls that have begun and whose requests may be under way still, beyond those that wait and the streams. Each takes
17 KB. A bound for each connection instead would break calls of a KEDA that begins with all its triggers at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that keep one caller from taking the server away from the others.

    Attributes:
        deadline: Seconds that a call may take, whatever the client allows.
        calls: Calls that may wait for a trigger's first value at once; more get RESOURCE_EXHAUSTED. All others are
            at work for a moment only, and are answered however many wait.
        queue: Calls that may wait to be taken up; beyond, a growing part is refused. KEDA begins with all triggers at
            once.
        streams: Streams open at once; more get RESOURCE_EXHAUSTED.
        message_bytes: The largest request.
        stream_rest: Seconds between two looks of a stream at its decision.
    """

    deadline: float = 2.5
    calls: int = 256
    queue: int = 8192
    streams: int = 128
    message_bytes: int = 262_144
    stream_rest: float = REST


class KedaServer:
    """A gRPC server that answers from a desk. Make and use it within a running event loop.

    Args:
        desk: Where triggers and decisions come from.
        address: Where to listen, `HOST:PORT`; port 0 lets the system choose.
        observer: Hears of every call.
        limits: Bounds.
        credentials: TLS; None listens in plain text.
        admit: Looks at what TLS knows of a caller, and raises what the call ends with; None: everyone may call.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        address: str,
        observer: CallObserver,
        limits: Limits | None = None,
        credentials: grpc.ServerCredentials | None = None,
        admit: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._address = address
        self._credentials = credentials
        self._port = 0
        calls = Calls(observer=observer, admit=admit)
        self._health = Health([SERVICE], calls=calls)
        self._streams = Streams(desk, most=limits.streams, rest=limits.stream_rest)
        servicer = Servicer(
            desk, calls=calls, streams=self._streams, deadline=limits.deadline, most_waiting=limits.calls
        )
        self._server = _server(limits, at_once=servicer.at_once())
        add_ExternalScalerServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        told = Reflection((SERVICE, _HEALTH, SERVICE_NAME), calls=calls)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(told, self._server)  # type: ignore[no-untyped-call]

    @property
    def port(self) -> int:
        """The port that the server listens on; 0 before `start`."""
        return self._port

    @property
    def open_streams(self) -> int:
        """Number of KEDA's streams open now."""
        return self._streams.open

    async def start(self) -> None:
        """Listens and answers from here on.

        Raises:
            InvalidSettings: The address cannot be listened on.
        """
        problem = _problem(self._address)
        if problem is not None and problem.certain:
            raise InvalidSettings([problem.text])
        try:
            if self._credentials is None:
                self._port = self._server.add_insecure_port(self._address)
            else:
                self._port = self._server.add_secure_port(self._address, self._credentials)
        except RuntimeError as error:
            text = f"grpc_address {self._address}: cannot listen there" if problem is None else problem.text
            raise InvalidSettings([text]) from error
        await self._server.start()

    async def drain(self, *, grace: float, delay: float = 0.0) -> None:
        """Stops in good order: not ready, streams end with OK, calls at work finish, then no more.

        Args:
            grace: Seconds that calls at work may take; whatever is left then is cut off.
            delay: Seconds to go on answering when not ready any more, until the load balancers know.
        """
        self._health.end()
        if delay > 0:
            await asyncio.sleep(delay)
        self._streams.end()
        await self._server.stop(grace)


def _server(limits: Limits, *, at_once: Mapping[str, AtOnce]) -> Any:  # noqa: ANN401  # generated code wants gRPC's own
    """The core of gRPC, driven by us, or its asyncio server where a later release of gRPC does not let us."""
    # a call counts from its first byte on: who begins calls and never ends them must not use up all of it
    most, options = _UNFINISHED + limits.calls + limits.streams, _options(limits)
    try:
        from scaler.keda.core import CoreServer, usable  # noqa: PLC0415  # what it builds on may be no more
    except ImportError as error:
        reason = str(error)
    else:
        reason = usable()
        if not reason:
            return CoreServer(options=options, most=most, at_once=at_once)
    _log.warning("calls take twice the CPU that they could: the core of this grpcio cannot be driven (%s)", reason)
    return aio.server(options=options, maximum_concurrent_rpcs=most)


def _options(limits: Limits) -> list[tuple[str, int]]:
    """Arguments of gRPC's core.

    The age of connections stays unlimited: KEDA keeps one for all triggers, and dials again after seconds.
    """
    return [
        ("grpc.so_reuseport", 0),  # two servers on one port would each get half of the calls
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.server.max_pending_requests", limits.queue),
        ("grpc.server.max_pending_requests_hard_limit", 2 * limits.queue),
        # KEDA sends no pings: ours find out that it went without a word, and its streams' slots come free
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.max_pings_without_data", 0),
        # its pings measure how much may be under way at once; answers of a few bytes need no measuring
        ("grpc.http2.bdp_probe", 0),
        # other clients may ping every 10 s; more often three times over closes the connection
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
    ]


class _Problem(NamedTuple):
    """What stands in the way of listening; not `certain` if gRPC may still find a way, such as IPv4 alone."""

    text: str
    certain: bool


def _problem(address: str) -> _Problem | None:
    """Tries the address out: gRPC takes the half of one that is free, and gives no reasons."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        text = f"grpc_address {address!r} is no address to listen on: give HOST:PORT, such as [::]:6000"
        return _Problem(text, certain=True)
    error = listen_error(address)
    if error is None:
        return None
    text = f"grpc_address {address}: cannot listen there: {error.strerror}; choose another"
    return _Problem(text, certain=error.errno in {errno.EADDRINUSE, errno.EACCES})
