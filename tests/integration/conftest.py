"""A real Prometheus with a past: the fixture that integration tests start from."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

PATIENCE = 60.0  # seconds for a process to come up or go down; other work shares the machine


class PrometheusServer:
    """A Prometheus process on a port of its own, which it keeps over restarts."""

    def __init__(self, directory: Path, *, config: str, arguments: Sequence[str] = ()) -> None:
        self._directory = directory
        self._arguments = arguments
        (directory / "prometheus.yml").write_text(config)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.ready_path = "/-/ready"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when the server answers queries."""
        assert self._process is None
        with (self._directory / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._directory / 'data'}",
                    "--storage.tsdb.retention.time=400d",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    *self._arguments,
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(self._ready, f"Prometheus is not ready: {self._log_tail()}")

    def stop(self) -> None:
        """Ends the server as an operator would; its data stay."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE)
            self._process = None

    def query(self, query: str, *, at: float) -> list[dict[str, object]]:
        """What the server itself answers, past the code under test."""
        url = f"{self.url}/api/v1/query?query={urllib.parse.quote(query)}&time={at}"
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 -- our own server
            result: list[dict[str, object]] = json.load(response)["data"]["result"]
            return result

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Prometheus has ended: {self._log_tail()}"
        try:
            with urllib.request.urlopen(f"{self.url}{self.ready_path}", timeout=1) as response:  # noqa: S310 -- our own server
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _log_tail(self) -> str:
        return (self._directory / "prometheus.log").read_text()[-2000:]


class MakePrometheus(Protocol):
    """See the fixture `prometheus_server`."""

    def __call__(
        self,
        series: Iterable[tuple[str, Mapping[str, str], Iterable[tuple[float, float]]]] = (),
        *,
        scrape: Sequence[str] = (),
        scrape_interval: str = "1s",
        arguments: Sequence[str] = (),
        start: bool = True,
    ) -> PrometheusServer: ...


@pytest.fixture
def prometheus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakePrometheus]:
    """A factory: (metric, labels, [(epoch seconds, value), ...]) series become the past of a running Prometheus.

    The samples go into blocks through promtool, so they may be of any age, up to now. `scrape` names targets
    (HOST:PORT) for what comes after; remote write is open, too. Several servers can run at once; all end with the
    test. Without the two programs this fails: a skipped integration test shows nothing.
    """
    for program in ("prometheus", "promtool"):
        assert shutil.which(program), f"{program} is not installed: apt-get install prometheus"
    servers: list[PrometheusServer] = []

    def make(
        series: Iterable[tuple[str, Mapping[str, str], Iterable[tuple[float, float]]]] = (),
        *,
        scrape: Sequence[str] = (),
        scrape_interval: str = "1s",
        arguments: Sequence[str] = (),
        start: bool = True,
    ) -> PrometheusServer:
        directory = tmp_path_factory.mktemp("prometheus")
        write_blocks(directory, series)
        targets = ", ".join(f'"{target}"' for target in scrape)
        config = f"global: {{scrape_interval: {scrape_interval}, scrape_timeout: {scrape_interval}}}\n"
        if scrape:
            config += f"scrape_configs: [{{job_name: target, static_configs: [{{targets: [{targets}]}}]}}]\n"
        server = PrometheusServer(
            directory, config=config, arguments=["--web.enable-remote-write-receiver", *arguments]
        )
        servers.append(server)
        if start:
            server.start()
        return server

    yield make
    for server in servers:
        server.kill()


def write_blocks(
    directory: Path, series: Iterable[tuple[str, Mapping[str, str], Iterable[tuple[float, float]]]]
) -> None:
    """Writes the samples as TSDB blocks into `directory`/data."""
    by_metric: dict[str, list[str]] = {}
    for metric, labels, samples in series:
        pairs = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
        lines = by_metric.setdefault(metric, [f"# TYPE {metric} gauge"])
        lines.extend(f"{metric}{{{pairs}}} {_number(value)} {time:.3f}" for time, value in sorted(samples))
    if not by_metric:
        return
    text = directory / "past.om"
    text.write_text("\n".join(line for lines in by_metric.values() for line in lines) + "\n# EOF\n")
    # one block for 20 days instead of one for 2 hours: promtool reads the whole file once for each
    command = ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=486h", "openmetrics", "--quiet"]
    subprocess.run(
        [*command, str(text), str(directory / "data")],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )


def _number(value: float) -> str:
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(text := repr(float(value)), text)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], failure: str) -> None:
    """Polls a real process until the condition holds, within a bounded time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.05)
