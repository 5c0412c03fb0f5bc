"""A training straight from a Prometheus server: longer histories than it gives at once, several queries."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.network import Network
from scaler.cli.main import main
from tests.support.networks import random_network

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import MakePrometheus, PrometheusServer

DAYS = 8
MINUTES = DAYS * 1440  # Prometheus gives at most 11,000 points at once


def past(seed: int, minutes: int) -> list[tuple[float, float]]:
    random = np.random.default_rng(seed)
    end = int(time.time()) // 60 * 60
    load = 60 + 40 * np.sin(2 * np.pi * np.arange(minutes) / 1440) + random.gamma(2.0, 4.0, minutes)
    return [(end - 60.0 * (minutes - 1 - n), round(float(value), 3)) for n, value in enumerate(load)]


def requests(server: PrometheusServer, path: str) -> dict[str, int]:
    """How many requests the server has had, by the status that it gave."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as response:  # noqa: S310 -- our own server
        page = response.read().decode()
    found = re.findall(rf'prometheus_http_requests_total{{code="(\d+)",handler="{path}"}} (\d+)', page)
    return {status: int(count) for status, count in found if int(count)}


@pytest.mark.timeout(200)
def test_histories_come_in_pieces_and_a_model_comes_of_them(
    prometheus_server: MakePrometheus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = prometheus_server([("load", {"app": "shop"}, past(1, MINUTES)), ("load", {"app": "mail"}, past(2, 1440))])
    in_use, output = tmp_path / "in-use.bin", tmp_path / "lstm.bin"
    in_use.write_bytes(random_network(units=4, dense=4).to_bytes())
    monkeypatch.setenv("FORESAIL_LSTM_MODEL", str(in_use))
    queries = [word for app in ("shop", "mail") for word in ("--query", f'sum(load{{app="{app}"}})')]
    quick = ("--generated", "0", "--origins", "60", "--epochs", "1", "--force", "--json")
    asked = ["--source", server.url, *queries, "--since", f"{DAYS}d", "--output", str(output), *quick]
    assert main(["train", *asked]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["published"] is True
    assert (document["series_learned_from"], document["series_judged"]) == (2, 2)
    assert Network.from_bytes(output.read_bytes()).series == 2
    # 11,520 minutes are asked for, so two pieces for each of the two
    assert requests(server, "/api/v1/query_range") == {"200": 4}
