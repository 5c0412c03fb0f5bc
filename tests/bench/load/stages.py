"""The measurements of a run, each on servers that are up."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
from typing import TYPE_CHECKING

from tests.bench.load.keda import HPA, POLL, Latencies, arrivals, paced, pairs, sweep
from tests.bench.load.machine import cpu_seconds, histogram_quantile, memory, samples
from tests.bench.load.report import Busy, Compared, Point, Refreshing, Start
from tests.bench.load.wire import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.load.fleet import Fleet
    from tests.bench.load.scene import Foresail, Helper
    from tests.bench.load.wire import Connection

__all__ = ["busy", "compare", "curve", "held", "refreshing", "start"]

_CALLERS = 16
_EDGE_LAG = "foresail_edge_loop_lag_seconds_bucket"
_ENGINE_LAG = "foresail_engine_loop_lag_seconds_bucket"


async def start(server: Foresail, fleet: Fleet, *, within: float = 600.0) -> Start:
    """How long the fleet waits for its answers after a start."""
    connection = await connect(server.port)
    try:
        found = await sweep(connection, fleet.requests, callers=64, within=within)
    finally:
        connection.close()

    def after(part: float) -> float:
        place = int(part * (fleet.size - 1))
        return server.ready_after + found[place] if place < len(found) else -1.0

    return Start(
        listening=server.ready_after,
        first_answer=after(0.0),
        half=after(0.5),
        all_answers=after(1.0),
        answered=len(found),
    )


async def compare(
    server: Foresail, bare: Helper, fleet: Fleet, *, seconds: float, rounds: int, rate: float
) -> Compared:
    """Both servers in turn, so that both see the same machine."""
    pids = {"ours": server.pid, "bare": bare.pid}
    lines = {"ours": await connect(server.port), "bare": await connect(bare.port)}
    per_cpu: dict[str, list[float]] = {"ours": [], "bare": []}
    p50: dict[str, list[float]] = {"ours": [], "bare": []}
    p99: dict[str, list[float]] = {"ours": [], "bare": []}
    late: list[float] = []
    errors = 0
    try:
        for round_number in range(rounds):
            for kind, line in lines.items():
                count, spent = await _pairs(line, pids[kind], fleet, seconds=seconds, first=round_number * 997)
                per_cpu[kind].append(count / spent)
            schedule = _at_rate(fleet.size, rate, seconds=seconds, seed=round_number)
            for kind, line in lines.items():
                seen = await paced(line, fleet.requests, schedule)
                p50[kind].append(seen.at(0.5))
                p99[kind].append(seen.at(0.99))
                late.append(seen.late_at(0.99))
                errors += seen.errors
    finally:
        for line in lines.values():
            line.close()
    median: Callable[[list[float]], float] = statistics.median
    return Compared(
        pairs_per_cpu_second=median(per_cpu["ours"]),
        pairs_per_cpu_second_bare=median(per_cpu["bare"]),
        rate=rate,
        p50_ms=1000 * median(p50["ours"]),
        p50_ms_bare=1000 * median(p50["bare"]),
        p99_ms=1000 * median(p99["ours"]),
        p99_ms_bare=1000 * median(p99["bare"]),
        least_p99_ms=1000 * min(p99["ours"]),
        least_p99_ms_bare=1000 * min(p99["bare"]),
        client_late_p99_ms=1000 * median(late),
        errors=errors,
    )


async def busy(server: Foresail, fleet: Fleet, *, seconds: float, rounds: int, rate: float) -> Busy | None:
    """Latencies while the fit workers are held, and while they are at work, in turn; None: there are none.

    A worker that is held takes no CPU, and the fit that it is at goes on afterwards.
    """
    if not server.workers:
        return None
    p99: dict[str, list[float]] = {"idle": [], "busy": []}
    spent = 0.0
    line = await connect(server.port)
    try:
        for round_number in range(rounds):
            schedule = _at_rate(fleet.size, rate, seconds=seconds, seed=round_number)
            for kind, order in (("idle", signal.SIGSTOP), ("busy", signal.SIGCONT)):
                for worker in server.workers:
                    os.kill(worker, order)
                before = _spent(server)["workers"]
                p99[kind].append((await paced(line, fleet.requests, schedule)).at(0.99))
                spent += _spent(server)["workers"] - before if kind == "busy" else 0.0
    finally:
        for worker in server.workers:
            os.kill(worker, signal.SIGCONT)
        line.close()
    return Busy(
        rate=rate,
        p99_ms_idle=1000 * statistics.median(p99["idle"]),
        p99_ms_busy=1000 * statistics.median(p99["busy"]),
        worker_cores=spent / (rounds * seconds),
    )


def _at_rate(members: int, rate: float, *, seconds: float, seed: int) -> list[tuple[float, int]]:
    """Cycles of three calls each, so that there are `rate` calls a second."""
    return arrivals(members, seconds=seconds, every=[3 * members / rate], seed=seed)


async def _pairs(line: Connection, pid: int, fleet: Fleet, *, seconds: float, first: int) -> tuple[int, float]:
    before = cpu_seconds(pid)
    count = await pairs(line, fleet.requests, seconds=seconds, callers=_CALLERS, first=first)
    return count, cpu_seconds(pid) - before


async def curve(server: Foresail, bare: Helper, fleet: Fleet, sizes: list[int], *, seconds: float) -> list[Point]:
    """Fleets of growing size at KEDA's default pace, all of `fleet` being refreshed meanwhile.

    The bare server has the same calls, at the same moments, beside the same refreshing. A size beyond the fleet's lets
    its members call more often.
    """
    points = []
    for objects in sizes:
        members = min(objects, fleet.size)
        every = [pace * members / objects for pace in (POLL, HPA)]
        schedule = arrivals(members, seconds=seconds, every=every, seed=objects)
        engine = cpu_seconds(server.engine)
        seen, edge_cores = await _played(server.port, server.pid, fleet, schedule, seconds=seconds)
        engine = cpu_seconds(server.engine) - engine
        plain, bare_cores = await _played(bare.port, bare.pid, fleet, schedule, seconds=seconds)
        points.append(
            Point(
                objects=objects,
                rpcs_per_second=len(seen) / seconds,
                p50_ms=1000 * seen.at(0.5),
                p99_ms=1000 * seen.at(0.99),
                p99_ms_bare=1000 * plain.at(0.99),
                errors=seen.errors,
                edge_cores=edge_cores,
                bare_cores=bare_cores,
                engine_cores=engine / seconds,
                client_late_p99_ms=1000 * seen.late_at(0.99),
            )
        )
    return points


async def _played(
    port: int, pid: int, fleet: Fleet, schedule: list[tuple[float, int]], *, seconds: float
) -> tuple[Latencies, float]:
    """What the calls of the schedule saw, and the cores that the server took."""
    line = await connect(port)
    before = cpu_seconds(pid)
    try:
        seen = await paced(line, fleet.requests, schedule)
    except TimeoutError:
        seen = Latencies(errors=-1)
    finally:
        line.close()
    return seen, (cpu_seconds(pid) - before) / seconds


async def refreshing(server: Foresail, source: Helper, *, seconds: float) -> Refreshing:
    """What refreshing the fleet takes while nobody calls."""
    before = await server.metrics()
    spent, of_source = _spent(server), cpu_seconds(source.pid)
    await asyncio.sleep(seconds)
    used = {kind: seconds_now - spent.get(kind, 0.0) for kind, seconds_now in _spent(server).items()}
    after = await server.metrics()
    asked = "foresail_source_requests_total"
    fits = "foresail_fits_total"
    forecasts = samples(after, "foresail_forecast_age_seconds").values()
    return Refreshing(
        seconds=seconds,
        queries_per_second=_grown(before, after, asked) / seconds,
        oldest_observed_s=max(samples(after, "foresail_observed_age_seconds").values(), default=0.0),
        oldest_forecast_s=max(forecasts, default=0.0),
        with_forecast=len(forecasts),
        edge_cores=used["edge"] / seconds,
        engine_cores=used["engine"] / seconds,
        worker_cores=used["workers"] / seconds,
        source_cores=(cpu_seconds(source.pid) - of_source) / seconds,
        edge_lag_p99_s=_lag(before, after, _EDGE_LAG),
        engine_lag_p99_s=_lag(before, after, _ENGINE_LAG),
        fits=_grown(before, after, fits),
    )


def _spent(server: Foresail) -> dict[str, float]:
    return {
        "edge": cpu_seconds(server.pid),
        "engine": cpu_seconds(server.engine),
        "workers": sum(cpu_seconds(pid) for pid in server.workers),
    }


def _grown(before: str, after: str, name: str) -> float:
    return sum(samples(after, name).values()) - sum(samples(before, name).values())


def _lag(before: str, after: str, name: str) -> float:
    return histogram_quantile(samples(before, name), samples(after, name), 0.99)


def held(server: Foresail) -> dict[str, float]:
    """Memory of the edge and the engine, MiB."""
    edge, engine = memory(server.pid), memory(server.engine)
    return {
        "edge, resident": edge.resident,
        "edge, proportional": edge.proportional,
        "engine, resident": engine.resident,
        "engine, proportional": engine.proportional,
    }
