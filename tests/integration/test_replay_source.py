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

Series = tuple[str, dict[str, str], list[tuple[float, float]]]


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
        (["x.csv", "--since", "7d"], "--since goes with --source, not with a file"),
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


def pods(samples: list[tuple[float, float]], takes: list[float]) -> list[Series]:
    """Pods of shop/web as kube-state-metrics shows them, one an hour, each ready after so many seconds."""
    made: list[Series] = []
    for number, seconds in enumerate(takes):
        created = samples[-1][0] - 3600.0 * (number + 1)
        labels = {"namespace": "shop", "pod": f"web-7c9fdc8d5b-xxxx{'bcdfghjk'[number]}", "uid": f"u{number}"}
        scrapes = [created + 7.0 + 30.0 * n for n in range(60)]
        made.append(("kube_pod_created", labels, [(at, created) for at in scrapes]))
        ready = [(at, created + seconds) for at in scrapes if at >= created + seconds]
        made.append(("kube_pod_status_ready_time", labels, ready))
    return made


def test_start_up_and_lead_time_are_measured_where_the_source_has_them(
    samples: list[tuple[float, float]],
    prometheus_server: MakePrometheus,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = prometheus_server([("load", {}, samples), *pods(samples, [60.0, 70.0, 80.0, 90.0, 100.0])])
    asked = [
        "--source",
        server.url,
        "--query",
        "sum(load)",
        "--since",
        "20h",
        "--target",
        "10",
        "--forecaster",
        "naive",
    ]
    common = [*asked, "--jobs", "1", "--train-end", f"{samples[360][0]:.0f}"]
    measured, given = tmp_path / "measured.csv", tmp_path / "given.csv"
    assert main(["replay", *common, "--scale-target", "shop/web", "--decisions", str(measured)]) == 0
    assert (
        "lead time 1m36s: measured: 90 % of the 5 pods that web started within the last 3d were ready after 1m36s"
        in " ".join(capsys.readouterr().out.split())
    )
    stated = ["--pod-startup", "80s,96s,64s,88s,72s", "--lead-time", "96s"]
    assert main(["replay", *common, *stated, "--decisions", str(given)]) == 0
    assert rows(measured) == rows(given)
    capsys.readouterr()

    assert main(["replay", *common, "--scale-target", "shop/other"]) == 1
    assert capsys.readouterr().err == (
        "foresail replay: settings: --scale-target shop/other: the source knows no pod of other in shop that started "
        "within the last 3d (kube_pod_created and kube_pod_status_ready_time of kube-state-metrics); scaleTarget names "
        "the workload if it is called otherwise\n"
    )
