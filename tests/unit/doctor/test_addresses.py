"""The two addresses: free, answered by a Foresail, taken by somebody else."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from grpc import aio

from scaler.doctor.addresses import address_checks
from scaler.doctor.check import Finding, Verdict
from scaler.web.app import make_app
from scaler.web.board import Explanation, ReadyState, TriggerView
from scaler.web.listen import listening
from scaler.web.log import DecisionPages
from tests.support.keda_edge import running_edge
from tests.support.scripted_desk import ScriptedDesk, decided

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaler.decision.change import Change

FREE = "127.0.0.1:0"


async def grpc_side(address: str) -> Finding:
    return await address_checks("here", grpc_address=address, http_address=FREE)[0].ask()


async def http_side(address: str) -> Finding:
    return await address_checks("here", grpc_address=FREE, http_address=address)[1].ask()


@pytest.fixture
def silent() -> Iterator[str]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_free_addresses() -> None:
    assert await grpc_side(FREE) == Finding(Verdict.OK, "127.0.0.1:0 is free")
    assert await http_side("[::]:0") == Finding(Verdict.OK, "[::]:0 is free")


async def test_addresses_of_other_machines() -> None:
    assert await grpc_side("192.0.2.1:6000") == Finding(
        Verdict.FAIL,
        "grpc_address 192.0.2.1:6000: cannot listen there: Cannot assign requested address",
        "the host of the address is not this machine's: listen on [::] or on an address of its own",
    )


async def test_a_foresail_serves_grpc() -> None:
    async with running_edge(ScriptedDesk(decided(1.0))) as edge:
        assert await grpc_side(edge.address) == Finding(Verdict.OK, f"a Foresail serves at {edge.address}")


async def test_a_foresail_that_drains() -> None:
    async with running_edge(ScriptedDesk(decided(1.0))) as edge:
        drained = asyncio.create_task(edge.server.drain(grace=0.0, delay=60.0))
        await asyncio.sleep(0)  # it says so at its first step
        assert await grpc_side(edge.address) == Finding(
            Verdict.WARN,
            f"a Foresail listens at {edge.address} and does not serve",
            "it starts or ends: ask again in a moment, or read its log",
        )
        drained.cancel()


async def test_another_grpc_server() -> None:
    server = aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    assert await grpc_side(f"127.0.0.1:{port}") == Finding(
        Verdict.FAIL,
        f"another program listens at 127.0.0.1:{port} and is not Foresail",
        "end it, or set grpc_address to a free address",
    )
    await server.stop(0)


async def test_somebody_who_does_not_speak_grpc(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaler.doctor.addresses._PATIENCE", 0.2)
    assert (await grpc_side(silent)).found == (
        f"another program listens at {silent} and does not answer gRPC's health check"
    )


class Board:
    def __init__(self, state: ReadyState) -> None:
        self._state = state

    def triggers(self) -> list[TriggerView]:
        return []

    def explain(self, namespace: str, name: str) -> list[Explanation]:
        del namespace, name
        return []

    def ready(self) -> ReadyState:
        return self._state


class NoLog:
    async def read(self, namespace: str, name: str, *, since: float) -> list[tuple[str, Change]]:
        del namespace, name, since
        return []


async def no_metrics() -> bytes:
    return b""


@pytest.mark.parametrize(
    ("state", "finding"),
    [
        (ReadyState(ready=True), Finding(Verdict.OK, "a Foresail is ready at {}")),
        (
            ReadyState(ready=False, reason="draining"),
            Finding(Verdict.WARN, "a Foresail at {} is not ready: draining", "ask again in a moment, or read its log"),
        ),
    ],
)
async def test_a_foresail_answers_http(state: ReadyState, finding: Finding) -> None:
    log = DecisionPages(NoLog(), clock=lambda: 0.0)
    app = make_app(board=Board(state), metrics_page=no_metrics, decisions=log)
    async with listening(app, "0.0.0.0:0") as port:
        address = f"0.0.0.0:{port}"
        seen = await http_side(address)
    assert seen == Finding(finding.verdict, finding.found.format(address), finding.mend)


async def test_another_http_server() -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>hello</html>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/readyz", page)
    async with listening(app, "127.0.0.1:0") as port:
        assert await http_side(f"127.0.0.1:{port}") == Finding(
            Verdict.FAIL,
            f"another program listens at 127.0.0.1:{port} and is not Foresail",
            "end it, or set http_address to a free address",
        )
