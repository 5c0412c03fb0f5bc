"""A replay straight from a Prometheus server says what one of the same samples in a file says."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import MakePrometheus

MINUTES = 600


@pytest.fixture
def samples() -> list[tuple[float, float]]:
    rng = np.random.default_rng(5)
    end = int(time.time()) // 60 * 60
    load = 60 + 40 * np.sin(2 * np.pi * np.arange(MINUTES) / 60) + rng.gamma(2.0, 4.0, MINUTES)
    return [(end - 60.0 * (MINUTES - 1 - n), round(float(value), 3)) for n, value in enumerate(load)]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_the_same_samples_give_the_same_decisions(
    samples: list[tuple[float, float]],
    prometheus_server: MakePrometheus,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = prometheus_server([("load", {"app": "shop"}, samples)])
    trace, from_file, from_source = tmp_path / "shop.csv", tmp_path / "file.csv", tmp_path / "source.csv"
    trace.write_text("".join(f"{moment:.0f},{value}\n" for moment, value in samples))
    settings = tmp_path / "foresail.toml"
    settings.write_text(f'[sources.main]\naddress = "{server.url}"\n')
    common = [
        "--target",
        "10",
        "--forecaster",
        "naive",
        "--train-end",
        f"{samples[360][0]:.0f}",
        "--jobs",
        "1",
        "--json",
    ]
    assert main(["replay", str(trace), *common, "--decisions", str(from_file)]) == 0
    for source in (["main", "--config", str(settings)], [server.url]):
        asked = ["--source", *source, "--query", "sum(load)", "--since", "20h", "--decisions", str(from_source)]
        assert main(["replay", *asked, *common]) == 0
        # where minutes have passed meanwhile, the server's newest sample goes on for some more rows
        assert rows(from_source)[: len(rows(from_file))] == rows(from_file)
        assert len(rows(from_source)) <= len(rows(from_file)) + 5 * 4
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "either a file SERIES.csv or --source with --query must be given, not both"),
        (["x.csv", "--source", "a"], "either a file SERIES.csv or --source with --query must be given, not both"),
        (["--source", "a"], "--source needs a --query"),
        (["--source", "a", "--query", "up"], "--source a is neither a source of the settings (none) nor a URL"),
    ],
)
def test_what_is_missing_is_told(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", *arguments, "--target", "1"]) == 1
    assert capsys.readouterr().err == f"foresail replay: settings: {says}\n"


def test_a_query_without_a_past_is_told(prometheus_server: MakePrometheus, capsys: pytest.CaptureFixture[str]) -> None:
    server = prometheus_server()
    assert main(["replay", "--source", server.url, "--query", "load", "--target", "1"]) == 1
    assert capsys.readouterr().err == f"foresail replay: {server.url}: the query load has no past within 21d\n"
