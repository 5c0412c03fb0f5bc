"""Covariates, end to end: a real Prometheus in which a queue fills ten minutes before the load comes."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.cli.main import main
from scaler.keda.client import KedaClient, ref
from tests.support.server import Server, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import MakePrometheus, PrometheusServer

MINUTES, LEAD = 5 * 1440, 10


@pytest.fixture
def prometheus(prometheus_server: MakePrometheus) -> PrometheusServer:
    end = int(time.time()) // 60 * 60
    random = np.random.default_rng(3)
    queue = 5.0 + 300.0 * np.repeat(random.random(MINUTES // 30 + 1) < 0.2, 30)[: MINUTES + LEAD]
    load = 100.0 + queue[:MINUTES] + random.normal(0, 2, MINUTES)
    times = [end - 60.0 * (MINUTES - 1 - n) for n in range(MINUTES)]
    return prometheus_server([
        ("load", {}, list(zip(times, load.tolist(), strict=True))),
        ("queue", {}, list(zip(times, queue[LEAD:].tolist(), strict=True))),
    ])  # fmt: skip


def test_a_backtest_tells_what_they_are_worth(prometheus: PrometheusServer, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["backtest", "--source", prometheus.url, "--query", "sum(load)", "--since", "5d", "--forecaster", "naive"]
    asked += ["--horizon", "5m", "--levels", "0.9", "--refit-every", "12h", "--jobs", "1", "--json"]
    losses = []
    for more in ([], ["--covariate", "sum(queue)"]):
        assert main([*asked, *more]) == 0
        losses.append(json.loads(capsys.readouterr().out)["horizons"]["300"]["pinball"]["0.9"])
    assert losses[1] < 0.5 * losses[0]


def test_a_file_has_no_covariates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "load.csv").write_text("0,1\n60,2\n")
    assert main(["backtest", str(tmp_path / "load.csv"), "--covariate", "sum(queue)"]) == 1
    assert "--covariate goes with --source, not with a file" in capsys.readouterr().err


async def test_a_queue_that_fills_before_the_load_comes_is_learned_from(
    prometheus: PrometheusServer, tmp_path: Path
) -> None:
    server = Server(tmp_path, prometheus.url, observed_max_age="300s")
    trigger = ref({
        "serverAddress": prometheus.url,
        "query": "sum(load)",
        "covariates": "sum(queue)\nsum(nothing)",
        "threshold": "10",
        "forecaster": "naive",
        "historyTimeWindow": "3d",
    })  # fmt: skip
    try:
        await server.start()
        async with KedaClient(server.grpc) as keda:

            async def forecast() -> bool:
                await keda.poll(trigger)
                return bool(server.explain()["forecast"])

            await until(forecast, lambda: f"there is no forecast: {server.log.read_text()[-3000:]}")
        told = server.explain()
    finally:
        server.kill()
    gained = re.fullmatch(
        r"covariates (\d+) % less loss over the last 0\.\d days \(too few samples of number 2 are known\)",
        told["forecast"]["explanation"],
    )
    assert gained is not None
    assert int(gained[1]) > 50
