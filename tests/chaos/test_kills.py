"""SIGKILL at random moments: no committed sample is lost, the store opens without a hand, the server answers again."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scaler.keda.client import KedaClient, ref
from scaler.store.sqlite import SqliteStore
from scaler.trigger import parse_trigger
from tests.support.killed_writer import Kept, check_store, killed_within

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forecasting.series import TimeSeries
    from tests.support.server import Server

SEED = 20261122
KILLS = 100
SERVER_KILLS = 15


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_hundred_sigkills_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(SEED)  # noqa: S311  # chooses when to kill, no secret
    path = tmp_path / "foresail.db"
    kept, ahead, behind = Kept(), 0, 0
    for _ in range(KILLS):
        told = killed_within(path, done=kept.batches, seconds=rng.uniform(0.0, 0.25))
        kept = check_store(path, told, kept)
        ahead += kept.batches > told
        behind += kept.snapshots < kept.batches
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert kept.batches > KILLS
    with capsys.disabled():
        print(  # noqa: T201  # the count that docs/benchmarks.md asks for
            f"\nSIGKILL: seed {SEED}, {KILLS} kills, {kept.batches} batches of 120 samples written, {ahead} kills "
            f"between a commit and its telling, {behind} within a batch; lost 0, stores set aside 0"
        )


@pytest.mark.chaos
@pytest.mark.timeout(900)
async def test_a_server_killed_at_any_point_answers_again_from_all_it_had(
    prometheus: Any, make_server: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(SEED)  # noqa: S311  # chooses when to kill, no secret
    metadata = {
        "serverAddress": prometheus.url,
        "query": "floor(vector(time()) / 1000)",
        "threshold": "10",
        "forecaster": "naive",
        "queryStep": "1s",
        "historyTimeWindow": "1h",
    }
    series = parse_trigger(namespace="shop", name="web", metadata=metadata).series_id
    server = make_server(prometheus.url.removeprefix("http://"))
    kept = 0
    for _ in range(SERVER_KILLS):
        await server.start()
        async with KedaClient(server.grpc) as keda:
            reading = await keda.poll(ref(metadata))
            assert reading.ok, reading.text
            await asyncio.sleep(rng.uniform(0.0, 6.0))  # somewhere between the first request and the third flush
            before = _samples(server, series)
            server.kill()
        after = _samples(server, series)
        known = ~np.isnan(before.values)
        kept = int(known.sum())
        assert np.array_equal(_at(after, before)[known], before.values[known])
        assert not server.store.with_name("foresail.db.corrupt-1").exists()
    assert kept > 3600  # an hour from the source, and what came since
    with capsys.disabled():
        print(f"\nSIGKILL of the server: seed {SEED}, {SERVER_KILLS} kills, {kept} samples kept, lost 0")  # noqa: T201  # as above


def _samples(server: Server, series: str) -> TimeSeries:
    if not server.store.exists():
        return SqliteStore(None).history(series, step=1, since=0)
    with closing(SqliteStore(server.store)) as store:
        return store.history(series, step=1, since=0)


def _at(series: TimeSeries, times: TimeSeries) -> np.ndarray:
    """The values of one series at the times of another; NaN where it has none."""
    values = dict(zip(series.times().tolist(), series.values.tolist(), strict=True))
    return np.array([values.get(time, np.nan) for time in times.times().tolist()])
