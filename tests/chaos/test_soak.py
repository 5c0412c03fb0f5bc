"""A fleet under random faults, many at once, from a fixed seed: every answer is checked, and nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import resource
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler.keda.client import KedaClient
from scaler.store.sqlite import SqliteStore
from tests.support.faults import FAILING, HARMLESS
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.raw_http2 import RawClient
from tests.support.server import Server, until
from tests.support.soak_load import LANES, MAX_AGE, Invariants, Workload, fleet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SEED = 20261122
MIB = 1 << 20
FILES_SPARE = 24  # connections to sources that are kept for the next request, and what gRPC's core keeps
MEMORY_SPARE = {"edge": 30 * MIB, "engine": 100 * MIB}  # what may be held besides: allocators keep what they had
TASKS_SPARE = 12
PACE = 0.03  # seconds between two polls of one poller
SETTINGS = {
    "observe_interval": "1s",
    "observed_max_age": f"{MAX_AGE:g}s",
    "max_response_bytes": "65536",
    "first_answer_wait": "2s",
    "rpc_deadline": "2.5s",
}


class Chaos:
    """Injects faults one after the other, each for a random while, several at once.

    Attributes:
        injected: How many of each kind.
    """

    def __init__(
        self, server: Server, proxy: FaultyProxy, trigger: bytes, *, longest: float, rng: random.Random
    ) -> None:
        self._server = server
        self._proxy = proxy
        self._trigger = trigger
        self._longest = longest
        self._rng = rng
        self._under_way: set[asyncio.Task[None]] = set()
        self.injected: Counter[str] = Counter()

    async def go_on(self, seconds: float) -> None:
        """Returns when the time is up and all faults have ended."""
        until_then = time.monotonic() + seconds
        while time.monotonic() < until_then:
            task = asyncio.create_task(self._one())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(self._rng.uniform(0.3, 2.0))
        await asyncio.gather(*self._under_way)

    async def _one(self) -> None:
        kind = self._rng.random()
        if kind < 0.75:
            await self._source()
            return
        fault = self._rng.choice(
            [self._engine_killed, self._engine_stopped, self._worker_killed, self._disk, self._lock, self._client]
        )
        try:
            await fault(self._rng.uniform(0.5, 6.0))
        except (ProcessLookupError, ValueError):
            return  # the engine is just being replaced: nobody there to hurt
        self.injected[fault.__name__.strip("_")] += 1

    async def _source(self) -> None:
        lane, fault = f"lane-{self._rng.randrange(LANES)}", self._rng.choice((*FAILING, *HARMLESS))
        self._proxy.faults[lane] = fault.fault
        self.injected[fault.name] += 1
        await asyncio.sleep(self._rng.choice((1.0, 3.0, self._longest / 4, self._longest)))
        if self._proxy.faults.get(lane) is fault.fault:
            del self._proxy.faults[lane]

    async def _engine_killed(self, _seconds: float) -> None:
        self._server.kill_engine()

    async def _engine_stopped(self, seconds: float) -> None:
        engine = self._server.engine()
        os.kill(engine, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        with suppress(ProcessLookupError):
            os.kill(engine, signal.SIGCONT)

    async def _worker_killed(self, _seconds: float) -> None:
        for worker in self._server.workers():
            os.kill(worker, signal.SIGKILL)

    async def _disk(self, seconds: float) -> None:
        engine = self._server.engine()
        _, hard = resource.prlimit(engine, resource.RLIMIT_FSIZE)
        resource.prlimit(engine, resource.RLIMIT_FSIZE, (4096, hard))
        await asyncio.sleep(seconds)
        with suppress(ProcessLookupError):
            resource.prlimit(engine, resource.RLIMIT_FSIZE, (hard, hard))

    async def _lock(self, seconds: float) -> None:
        with closing(sqlite3.connect(self._server.store, isolation_level=None, timeout=0.0)) as other:
            with suppress(sqlite3.OperationalError):  # the engine was quicker, or is just making the file
                other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)

    async def _client(self, seconds: float) -> None:
        with RawClient(self._server.grpc) as client:
            for number in range(100):
                stream = client.call("StreamIsActive" if number % 3 else "GetMetrics", self._trigger)
                if number % 2:
                    client.reset(stream)
            await asyncio.sleep(seconds)


class Holding:
    """What the processes hold, once all is well."""

    def __init__(self, server: Server) -> None:
        page = server.get("/metrics")
        self.tasks = {
            who: float(re.search(rf"^foresail_{who}_tasks ([0-9.]+)", page, re.MULTILINE)[1])  # type: ignore[index]  # no match fails, too
            for who in ("edge", "engine")
        }
        processes = {"edge": server.pid, "engine": server.engine()}
        self.files = {who: len(os.listdir(f"/proc/{pid}/fd")) for who, pid in processes.items()}  # noqa: PTH208 - names, not paths
        page_size = os.sysconf("SC_PAGE_SIZE")
        self.memory = {
            who: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page_size for who, pid in processes.items()
        }

    def more_than(self, before: Holding) -> list[str]:
        """What there is more of than before, beyond what may be."""
        return [
            f"{who}: {what} {now[who]:.0f}, {was[who]:.0f} before"
            for what, now, was, spare in (
                ("tasks", self.tasks, before.tasks, dict.fromkeys(self.tasks, TASKS_SPARE)),
                ("files", self.files, before.files, dict.fromkeys(self.files, FILES_SPARE)),
                ("bytes", self.memory, before.memory, MEMORY_SPARE),
            )
            for who in ("edge", "engine")
            if now[who] > was[who] + spare[who]
        ]


@contextlib.asynccontextmanager
async def _polling(invariants: Invariants, workloads: list[Workload], pollers: int) -> AsyncIterator[None]:
    """Polls all workloads in turn while the block runs, and asks for an explanation after every seventh poll."""
    stop = False
    turn = itertools.count()

    async def poll(part: list[Workload]) -> None:
        while True:
            for one in part:
                if stop:
                    return
                known = await invariants.poll(one)
                if known and next(turn) % 7 == 0:
                    await asyncio.to_thread(invariants.explain, one)
                await asyncio.sleep(PACE)

    tasks = [asyncio.create_task(poll(workloads[n::pollers])) for n in range(pollers)]
    try:
        yield
    finally:
        stop = True
        await asyncio.gather(*tasks)


async def _all_known(invariants: Invariants, workloads: list[Workload]) -> None:
    for one in workloads:
        await until(lambda one=one: invariants.poll(one), lambda one=one: f"{one.name} is not known again")  # type: ignore[misc]


async def _settled(server: Server, before: Holding | None) -> Holding:
    """What is held when it is no more than before; at the latest after a while."""
    found: list[Holding] = []

    async def settled() -> bool:
        with suppress(TypeError, ValueError, ProcessLookupError):  # the engine is not there yet
            found[:] = [Holding(server)]
        return bool(found) and (before is None or not found[0].more_than(before))

    await until(settled, lambda: f"leaked: {found[0].more_than(before) if found and before else 'nothing known'}")
    return found[0]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("seconds", "size", "pollers", "longest"),
    [(8.0, 12, 2, 4.0), pytest.param(300.0, 50, 4, 2 * MAX_AGE, marks=pytest.mark.chaos)],
)
async def test_a_fleet_under_random_faults_keeps_its_promises(
    prometheus: Any,
    make_server: Callable[..., Server],
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    size: int,
    pollers: int,
    longest: float,
) -> None:
    workloads = fleet(size)
    rng = random.Random(SEED)  # noqa: S311  # chooses faults, no secret
    async with faulty_proxy(prometheus.url) as proxy:
        server = make_server(proxy.host, **SETTINGS)
        await server.start()
        async with KedaClient(server.grpc) as keda:
            invariants = Invariants(server, keda, proxy)
            await _all_known(invariants, workloads)
            before = await _settled(server, None)
            chaos = Chaos(server, proxy, workloads[0].trigger(proxy).SerializeToString(), longest=longest, rng=rng)
            async with _polling(invariants, workloads, pollers):
                await chaos.go_on(seconds)
            proxy.faults = {}
            await _all_known(invariants, workloads)
            await _settled(server, before)
            page = server.get("/metrics")
        assert invariants.violations == []
        assert "foresail_bugs_total{" not in page
        assert not (server.store.parent / "foresail.db.corrupt-1").exists()
        assert await asyncio.to_thread(server.terminate) == 0
    store = SqliteStore(server.store)
    assert store.set_aside == ()
    store.close()
    with capsys.disabled():
        report = {
            "seed": SEED,
            "seconds": seconds,
            "triggers": size,
            "faults": chaos.injected.total(),
            "answers": invariants.answers.total(),
            "explanations_checked": invariants.checked,
            "slowest_call_s": round(invariants.slowest, 2),
            "violations": 0,
            "by_kind": dict(sorted(chaos.injected.items())),
            "by_status": dict(sorted(invariants.answers.items())),
        }
        print("\nsoak:", json.dumps(report))  # noqa: T201  # the counts that docs/benchmarks.md asks for
