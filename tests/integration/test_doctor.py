"""`foresail doctor` against a real Prometheus, a real Foresail's store, and real certificates."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from scaler.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

STEP = 60
DAY = 86400
Samples = list[tuple[float, float]]


def rhythm(*, days: float, hole: tuple[float, float] = (0.0, 0.0)) -> Samples:
    """A daily load up to now, a sample a minute, without those of ages from `hole`[0] to `hole`[1] seconds."""
    now = int(time.time()) // STEP * STEP
    return [
        (now - age, 100 + 50 * math.sin(2 * math.pi * (now - age) / DAY))
        for age in range(0, int(days * DAY), STEP)
        if not hole[0] <= age < hole[1]
    ]


def counter(*, days: float) -> Samples:
    now = int(time.time()) // STEP * STEP
    return [(now - age, 1e6 - age) for age in range(0, int(days * DAY), STEP)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "foresail.toml"
    path.write_text(f'grpc_address = "127.0.0.1:0"\nhttp_address = "127.0.0.1:0"\ndata_dir = "{tmp_path}/data"\n')
    return path


class Doctor:
    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = config
        self._capsys = capsys
        self.code = 0

    def __call__(self, *arguments: str) -> dict[str, dict[str, str]]:
        """The findings by name; those of the query behind `query `."""
        self.code = main(["doctor", "--config", str(self.config), "--json", *arguments])
        document = json.loads(self._capsys.readouterr().out)
        assert document["ok"] is (self.code == 0)
        return {
            f"query {check['name']}" if check["about"] == "the query" else check["name"]: check
            for check in document["checks"]
        }

    def source(self, url: str, more: str = "") -> None:
        with self.config.open("a") as file:
            file.write(f'[sources.main]\naddress = "{url}"\n{more}\n')


@pytest.fixture
def doctor(config: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(config, capsys)


def verdicts(findings: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: finding["verdict"] for name, finding in findings.items()}


def test_all_is_well(prometheus_server: Any, doctor: Doctor) -> None:
    server = prometheus_server(
        [("load", {}, rhythm(days=3)), ("up", {"job": "web"}, [(t, 1.0) for t, _ in rhythm(days=3)])]
    )
    doctor.source(server.url)
    seen = doctor("--query", "sum(load)", "--window", "2d")
    assert set(verdicts(seen).values()) == {"OK"}, seen
    assert doctor.code == 0
    assert list(seen) == [
        *("settings", "gRPC address", "HTTP address", "data directory", "free space", "store", "fit worker"),
        *("address", "name", "connection", "credentials", "API", "clock", "past"),
        *("query window", "query signal", "query value", "query rates", "query history"),
    ]
    assert seen["settings"]["found"] == f"{doctor.config}; named sources: main"
    assert seen["query window"]["found"] == "2d at a step of 1m are 2880 samples"
    assert seen["query value"]["found"].startswith("it gives one value: ")
    assert seen["query rates"]["found"] == "it takes no rates over raw samples"
    assert seen["query history"]["found"].startswith("2880 samples since ")
    assert seen["query history"]["found"].endswith(", 0.0% missing")


def test_people_see_it_line_by_line(
    prometheus_server: Any, doctor: Doctor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    server = prometheus_server([("load", {}, rhythm(days=1))])
    doctor.source(server.url)
    code = main(["doctor", "--config", str(doctor.config), "--query", "nothing_here"])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert lines[0] == "this server"
    assert "source main" in lines
    assert "    OK  API             it answers PromQL as Prometheus does" in lines
    assert any(line.startswith("  FAIL  value           query 'nothing_here' has no result at") for line in lines)
    assert "                        → mend the query: try it in the source's own page" in lines
    assert lines[-1] == "19 checks: 16 OK, 1 FAIL, 2 SKIP"


def test_a_young_history_with_a_hole(prometheus_server: Any, doctor: Doctor) -> None:
    doctor.source(prometheus_server([("load", {}, rhythm(days=2, hole=(7200.0, 21600.0)))]).url)
    seen = doctor("--query", "sum(load)", "--window", "2d")
    history = seen["query history"]
    assert history["verdict"] == "WARN"
    # Prometheus goes on giving the last sample for five minutes
    assert history["found"].endswith("% missing, the longest gap 3h55m")
    assert history["mend"] == "gaps up to a season are filled by guesses: see why scrapes are missed"
    seen = doctor("--query", "sum(load)", "--window", "14d")
    assert seen["past"]["found"] == "not known: it has no metric up; give a --query to see how far that goes back"
    assert doctor.code == 0


def test_less_history_than_asked_for(prometheus_server: Any, doctor: Doctor) -> None:
    samples = rhythm(days=2)
    server = prometheus_server([("load", {}, samples), ("up", {"job": "web"}, [(t, 1.0) for t, _ in samples])])
    doctor.source(server.url)
    seen = doctor("--query", "sum(load)", "--window", "40d")
    assert seen["query window"]["found"] == "40d at a step of 1m are 57600 samples; the server keeps 35d"
    assert seen["query window"]["mend"] == "raise history_retention, or shorten historyTimeWindow"
    for name in ("past", "query history"):
        assert seen[name]["verdict"] == "WARN"
        assert "less than the 40d asked for" in seen[name]["found"]
        assert "--storage.tsdb.retention.time" in seen[name]["mend"]


def test_a_window_of_too_many_samples(prometheus_server: Any, doctor: Doctor) -> None:
    doctor.source(prometheus_server([("load", {}, rhythm(days=1))]).url)
    seen = doctor("--query", "sum(load)", "--window", "14d", "--step", "1s")
    assert seen["query window"]["verdict"] == "FAIL"
    assert seen["query window"]["found"] == "14d at a step of 1s are 1209600 samples"


def test_several_series(prometheus_server: Any, doctor: Doctor) -> None:
    samples = rhythm(days=0.2)
    doctor.source(prometheus_server([("load", {"pod": "a"}, samples), ("load", {"pod": "b"}, samples)]).url)
    seen = doctor("--query", "load")
    assert seen["query value"]["verdict"] == "FAIL"
    assert seen["query value"]["found"].startswith("query 'load' gives 2 series where one is needed")
    assert seen["query history"]["found"] == "not looked at, as value failed"
    assert doctor.code == 1


def test_a_negative_value_and_a_signal_that_depends_on_the_replicas(prometheus_server: Any, doctor: Doctor) -> None:
    doctor.source(prometheus_server([("load", {}, rhythm(days=0.2))]).url)
    seen = doctor("--query=-avg(load)", "--window", "4h")
    assert seen["query value"]["verdict"] == "FAIL"
    assert seen["query value"]["mend"] == "a load is not negative: wrap it as clamp_min(..., 0)"
    assert seen["query signal"]["verdict"] == "WARN"
    assert seen["query signal"]["found"] == (
        "it seems to depend on the number of replicas, which makes a feedback loop: "
        "avg(...) is about one replica among many, not about the total"
    )


@pytest.mark.parametrize(("window", "verdict"), [("1m", "WARN"), ("5m", "OK")])
def test_rates_against_the_scrape_interval(window: str, verdict: str, prometheus_server: Any, doctor: Doctor) -> None:
    doctor.source(prometheus_server([("requests_total", {"pod": "a"}, counter(days=0.2))]).url)
    # the last sample may be up to a minute old: asked for in a way that has a value whatever the moment
    seen = doctor("--query", f"sum(rate(requests_total[{window}])) or vector(0)", "--window", "4h")
    rates = seen["query rates"]
    assert rates["verdict"] == verdict, rates
    span = "1m" if window == "1m" else "5m"
    assert rates["found"].startswith(f"rate over {span} of samples about ")


def test_the_address_as_a_trigger_would_name_it(prometheus_server: Any, doctor: Doctor) -> None:
    server = prometheus_server()
    seen = doctor("--server-address", server.url)
    assert seen["address"]["verdict"] == "FAIL"
    with doctor.config.open("a") as file:
        file.write(f'allow_addresses = ["127.0.0.1:{server.port}"]\n')
    seen = doctor("--server-address", server.url)
    assert doctor.code == 0, seen


def test_settings_that_cannot_be_read(doctor: Doctor) -> None:
    doctor.config.write_text('grpc_adress = "x"\nfit_workers = 0\n')
    seen = doctor()
    assert doctor.code == 1
    assert list(seen) == ["settings"]
    assert "grpc_address" in seen["settings"]["found"]
    assert "fit_workers" in seen["settings"]["found"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--source", "mian"], 'settings: --source "mian": the settings name no such source; did you mean main?'),
        (["--source", "xyz"], 'settings: --source "xyz": the settings name no such source; there are main, other'),
        (
            ["--query", "load"],
            "settings: --query is asked of one source, and there are 2: add --source NAME or --server-address URL",
        ),
    ],
)
def test_arguments_that_do_not_fit(
    arguments: list[str], text: str, doctor: Doctor, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor.source("http://127.0.0.1:9", '[sources.other]\naddress = "http://127.0.0.1:9"')
    assert main(["doctor", "--config", str(doctor.config), *arguments]) == 1
    assert capsys.readouterr().err == f"foresail doctor: {text}\n"


def test_a_certificate_that_soon_ends(prometheus_server: Any, doctor: Doctor, tmp_path: Path) -> None:
    cert, key = tmp_path / "server.crt", tmp_path / "server.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    web = tmp_path / "web.yml"
    web.write_text(f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n")
    server = prometheus_server(start=False, arguments=[f"--web.config.file={web}"])
    server._ready = lambda: bool(_listens(server.port))
    server.start()
    address = server.url.replace("http:", "https:")
    doctor.source(address)
    seen = doctor()
    assert seen["connection"]["verdict"] == "FAIL"
    assert "certificate verify failed: self-signed certificate" in seen["connection"]["found"]
    doctor.config.write_text(doctor.config.read_text().rstrip() + f'\nca_file = "{cert}"\n')
    seen = doctor()
    assert seen["connection"]["verdict"] == "WARN"
    assert seen["connection"]["found"].startswith("it speaks TLSv1.3, its certificate is good for 1d23h")
    assert seen["API"]["verdict"] == "OK"
    doctor.config.write_text(doctor.config.read_text() + "unsafe_ssl = true\n")
    seen = doctor()
    assert seen["connection"]["found"] == "it speaks TLSv1.3, its certificate is not checked (unsafe_ssl)"


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
