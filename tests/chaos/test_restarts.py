"""Two replicas behind a Service, KEDA calling without a pause: restarted in turn, or killed, they lose no call.

What stands for Kubernetes: a replica's address is listed once /readyz says so, and struck off when its process is
gone. What stands for KEDA's `round_robin`: each call goes to the next listed replica whose connection is up, and a
connection that broke under a call is not up for its repetition, even if its channel has not noticed yet (grpc-go's
picker passes over a transport that is closed).
"""

from __future__ import annotations

import asyncio
import itertools
import urllib.error
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from grpc import aio

from scaler.keda.client import KedaClient, ref
from tests.support.defaults import HEADROOM
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler.keda.client import Reading

TRIGGERS = 12
POLLERS = 6
PACE = 0.02  # seconds between two polls of one poller: a busy loop would take the cores from what is tested


class _Endpoints:
    """The replicas that are listed; a stub whose every call goes to the next of them."""

    def __init__(self) -> None:
        self.listed: dict[Server, KedaClient] = {}
        self._struck: list[KedaClient] = []
        self.calls = 0
        self._turn = itertools.count()
        self._broke: dict[Any, KedaClient] = {}  # under the last call of each caller

    async def _call(self, method: str, *given: Any, **named: Any) -> Any:
        caller = asyncio.current_task()
        broke = self._broke.pop(caller, None)
        up = [client for client in self.listed.values() if client is not broke and _connected(client)]
        clients = up or list(self.listed.values())
        self.calls += 1
        client = clients[next(self._turn) % len(clients)]
        try:
            return await getattr(client.stub, method)(*given, **named)
        except aio.AioRpcError:
            self._broke[caller] = client
            raise

    def GetMetricSpec(self, *given: Any, **named: Any) -> Any:  # noqa: N802  # the stub's own name
        return self._call("GetMetricSpec", *given, **named)

    def GetMetrics(self, *given: Any, **named: Any) -> Any:  # noqa: N802  # as above
        return self._call("GetMetrics", *given, **named)

    def IsActive(self, *given: Any, **named: Any) -> Any:  # noqa: N802  # as above
        return self._call("IsActive", *given, **named)

    async def list(self, replica: Server) -> None:
        """Waits until the replica is ready, and lists it."""

        async def ready() -> bool:
            try:
                return bool(await asyncio.to_thread(replica.get, "/readyz"))
            except urllib.error.HTTPError as error:
                return error.code != 503  # what else it may say is found out by the calls

        await until(ready, lambda: f"never ready: {replica.log.read_text()[-2000:]}")
        client = KedaClient(replica.grpc)
        client.channel.get_state(try_to_connect=True)
        await until(lambda: asyncio.sleep(0, _connected(client)), lambda: "no connection")
        self.listed[replica] = client

    def strike_off(self, replica: Server) -> None:
        """Calls under way to it end as they may: a balancer that strikes an address off does not cut them."""
        self._struck.append(self.listed.pop(replica))

    async def close(self) -> None:
        for client in [*self._struck, *self.listed.values()]:
            await client.channel.close()


def _connected(client: KedaClient) -> bool:
    return client.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY


@dataclass
class _Load:
    """KEDA, calling without a pause; and what it has seen."""

    keda: KedaClient
    prometheus: str
    polls: int = 0
    lost: list[Reading] = field(default_factory=list)
    wrong: list[tuple[int, Reading]] = field(default_factory=list)
    stop: bool = False

    def trigger(self, number: int) -> Any:
        metadata = {
            "serverAddress": self.prometheus,
            "query": f"vector({number})",
            "threshold": "10",
            "forecaster": "naive",
            "queryStep": "15s",
            "historyTimeWindow": "1h",
        }
        return ref(metadata, name=f"web-{number}")

    async def poll(self, first: int) -> None:
        """One poller, from one trigger to the next."""
        for number in itertools.cycle([*range(first, TRIGGERS + 1), *range(1, first)]):
            if self.stop:
                return
            reading = await self.keda.poll(self.trigger(number))
            self.polls += 1
            if not reading.ok:
                self.lost.append(reading)
            elif reading.value != pytest.approx(HEADROOM * number) or reading.active is not True:
                self.wrong.append((number, reading))
            await asyncio.sleep(PACE)

    async def goes_on(self) -> None:
        """Returns when it has been answered for a while."""
        enough = self.polls + 3 * TRIGGERS
        await until(lambda: asyncio.sleep(0, self.polls > enough), lambda: f"KEDA is not answered any more: {self}")


@pytest.mark.parametrize(
    "ends",
    [
        (Server.terminate, Server.kill),
        pytest.param((*[Server.terminate] * 6, Server.kill, Server.kill), marks=pytest.mark.chaos),
    ],
    ids=len,
)
async def test_restarts_and_a_kill_lose_no_call(
    prometheus: Any, make_server: Callable[..., Server], ends: Sequence[Callable[[Server], object]]
) -> None:
    allow = prometheus.url.removeprefix("http://")
    # the product's own: a cold replica must not hide behind a test's patience
    settings = {"first_answer_wait": "2s", "rpc_deadline": "2.5s"}
    replicas = [make_server(allow, **settings) for _ in range(2)]
    service = _Endpoints()
    for replica in replicas:
        await replica.start()
        await service.list(replica)
    keda = KedaClient("ipv4:127.0.0.1:1")
    keda.stub = cast("Any", service)
    load = _Load(keda, prometheus.url)
    for number in range(1, TRIGGERS + 1):  # both know all
        for _ in replicas:
            await keda.poll(load.trigger(number))
    pollers = [asyncio.create_task(load.poll(1 + n * TRIGGERS // POLLERS)) for n in range(POLLERS)]
    try:
        for end in ends:
            replica = replicas[0]
            replicas.reverse()
            await asyncio.to_thread(end, replica)
            service.strike_off(replica)
            await replica.start()
            await service.list(replica)
            await load.goes_on()
    finally:
        load.stop = True
        await asyncio.gather(*pollers)
        await service.close()
        await keda.channel.close()
    assert not load.lost
    assert not load.wrong
    assert load.polls > 100
    print(f"\nrestarts: {len(ends)} under load, {load.polls} polls, 0 lost")  # noqa: T201  # for docs/benchmarks.md
