"""The two addresses: free to listen on, or already answered by a running server."""

from __future__ import annotations

import asyncio
import errno
from http import HTTPStatus

import grpc
import httpx
import msgspec
from grpc import aio
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from scaler.doctor.check import Check, Finding, fail, good, warn
from scaler.keda.server import SERVICE
from scaler.listen import listen_error
from scaler.web.board import ReadyState

__all__ = ["address_checks"]

_PATIENCE = 5.0  # seconds
_WILDCARDS = {"[::]": "127.0.0.1", "0.0.0.0": "127.0.0.1"}  # noqa: S104 -- the settings' words, nothing listens here
_MEND = {
    errno.EACCES: "ports below 1024 need a privilege: choose a higher one",
    errno.EADDRNOTAVAIL: "the host of the address is not this machine's: listen on [::] or on an address of its own",
}


def address_checks(
    about: str, *, grpc_address: str, http_address: str, grpc_tls: bool = False, http_tls: bool = False
) -> list[Check]:
    """Checks of both addresses, as the settings give them, and whether they speak TLS."""

    async def grpc_side() -> Finding:
        free = await _free(grpc_address, "grpc_address")
        return free or (_unasked(grpc_address) if grpc_tls else await _grpc_answer(grpc_address))

    async def http_side() -> Finding:
        free = await _free(http_address, "http_address")
        return free or (_unasked(http_address) if http_tls else await _http_answer(http_address))

    return [
        Check(about=about, name="gRPC address", ask=grpc_side),
        Check(about=about, name="HTTP address", ask=http_side),
    ]


async def _free(address: str, setting: str) -> Finding | None:
    """What is to be said of an address that nobody listens on; None if somebody does."""
    error = await asyncio.to_thread(listen_error, address)
    if error is None:
        return good(f"{address} is free")
    if error.errno == errno.EADDRINUSE:
        return None
    mend = _MEND.get(error.errno or 0, "give HOST:PORT of this machine, such as [::]:6000")
    return fail(f"{setting} {address}: cannot listen there: {error.strerror}", mend)


def _unasked(address: str) -> Finding:
    """Somebody listens, and answers nobody without the right certificate: this command has none."""
    mend = "nothing, if Foresail runs here: its metrics and its log say how it does"
    return warn(f"somebody listens at {address}; who it is cannot be asked without a client's certificate", mend)


async def _grpc_answer(address: str) -> Finding:
    """Who listens on the address that KEDA calls."""
    options = [("grpc.enable_http_proxy", 0)]
    async with aio.insecure_channel(_reached(address), options=options) as channel:
        try:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(HealthCheckRequest(service=SERVICE), timeout=_PATIENCE)  # type: ignore[attr-defined] # the stubs lack it
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return _taken(address, "grpc_address", "and does not answer gRPC's health check")
            return _taken(address, "grpc_address", "and is not Foresail")
    if reply.status == HealthCheckResponse.SERVING:
        return good(f"a Foresail serves at {address}")
    return warn(
        f"a Foresail listens at {address} and does not serve",
        "it starts or ends: ask again in a moment, or read its log",
    )


async def _http_answer(address: str) -> Finding:
    """Who listens on the address of metrics and health."""
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False) as client:
            reply = await client.get(f"http://{_reached(address)}/readyz")
        state = msgspec.json.decode(reply.content, type=ReadyState)
    except (httpx.HTTPError, msgspec.DecodeError, UnicodeDecodeError):
        return _taken(address, "http_address", "and is not Foresail")
    if state.ready and reply.status_code == HTTPStatus.OK:
        return good(f"a Foresail is ready at {address}")
    return warn(f"a Foresail at {address} is not ready: {state.reason}", "ask again in a moment, or read its log")


def _taken(address: str, setting: str, who: str) -> Finding:
    return fail(f"another program listens at {address} {who}", f"end it, or set {setting} to a free address")


def _reached(address: str) -> str:
    """Where a client on this machine finds what listens there."""
    host, _, port = address.rpartition(":")
    return f"{_WILDCARDS.get(host, host)}:{port}"
