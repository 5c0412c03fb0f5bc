"""The demo of `make kind-demo` without a cluster: `python -m tests.deploy.rehearsal`, twelve minutes of its own.

What deploy/kind says is what runs: the workload and its past by the containers' own arguments, Prometheus by its
ConfigMap, Foresail by what Helm renders with values.yaml, the triggers of workload.yaml, and demo.sh to show it. What
stands in: KEDA's calls by our model of them, the HPAs by the replay's arithmetic, a kubectl that hands demo.sh's
questions to Prometheus, and this machine's loopback for the cluster's names.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from scaler.demo.cluster import Cluster
from scaler.keda.client import KedaClient, Reading, ref
from scaler.replay.behavior import parse_behavior
from scaler.replay.hpa import SYNC_PERIOD
from tests.integration.conftest import PrometheusServer, free_port
from tests.support import manifests
from tests.support.manifests import DEPLOY, documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaler.demo.cluster import Account

KIND = DEPLOY / "kind"
_KUBECTL = """#!{python}
import re, sys, urllib.request
words = " ".join(sys.argv[1:])
if "--raw" in words:
    query = words.partition("query?query=")[2]
    print(urllib.request.urlopen("{prometheus}/api/v1/query?query=" + query, timeout=10).read().decode())
else:
    name = re.search(r"get deployment (\\w+)", words)[1]
    print(open("{directory}/" + name).read(), end="")
"""


class Workload:
    """A Deployment with its HPA, as its ScaledObject has it."""

    def __init__(self, scaled_object: dict[str, Any], deployment: dict[str, Any], file: Path) -> None:
        spec = scaled_object["spec"]
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        self.metadata: dict[str, str] = spec["triggers"][0]["metadata"]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        self._cluster = Cluster(
            target=float(self.metadata["threshold"]),
            startup_ticks=container["readinessProbe"]["initialDelaySeconds"] // SYNC_PERIOD,
            pods=deployment["spec"]["replicas"],
            min_replicas=spec["minReplicaCount"],
            max_replicas=spec["maxReplicaCount"],
            behavior=parse_behavior(behavior),
        )
        self._file = file
        self.sync(None, 0.0)

    @property
    def account(self) -> Account:
        """What came of it so far."""
        return self._cluster.account

    def sync(self, served: float | None, load: float) -> None:
        """One sync on what is served (None: an error), and what demo.sh is told of it."""
        self._cluster.sync(served, load)
        self._file.write_text(f"{self._cluster.ready} of {self._cluster.total}")


def _named(path: Path, kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in documents(path.read_text()) if one["kind"] == kind}


def _demo(container: dict[str, Any], **given: str) -> list[str]:
    """A container's command with the virtual environment of here, and these of its options changed."""
    words = [sys.executable, *container["command"][1:], *container["args"]]
    return [f"--{name}={given[name]}" if (name := word[2:].partition("=")[0]) in given else word for word in words]


def _configuration(names: dict[str, str]) -> str:
    """Prometheus' own, without discovery by DNS and kube-state-metrics, which are not here."""
    config: dict[str, Any] = yaml.safe_load(
        _named(KIND / "monitoring.yaml", "ConfigMap")["prometheus"]["data"]["prometheus.yml"]
    )
    jobs = [job for job in config["scrape_configs"] if job["job_name"] != "kube-state-metrics"]
    for job in jobs:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [names[job["job_name"]]]}]
    return yaml.safe_dump({**config, "scrape_configs": jobs})


@contextlib.contextmanager
def _prometheus(directory: Path, names: dict[str, str]) -> Iterator[str]:
    """Prometheus with the workload's past, by the init containers of its Deployment."""
    pod = _named(KIND / "monitoring.yaml", "Deployment")["prometheus"]["spec"]["template"]["spec"]
    past, blocks = pod["initContainers"]
    subprocess.run(_demo(past, to=str(directory / "past.om")), check=True)
    words = {"/prometheus/past.om": str(directory / "past.om"), "/prometheus": str(directory / "data")}
    subprocess.run([words.get(word, word) for word in blocks["command"]], check=True, stdout=subprocess.DEVNULL)
    server = PrometheusServer(directory, config=_configuration(names))
    server.start()
    try:
        yield server.url
    finally:
        server.kill()


@contextlib.contextmanager
def _process(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _settings(directory: Path) -> Path:
    """The settings file that Helm makes of values.yaml, its data in this directory."""
    (files,) = manifests.render(yaml.safe_load((KIND / "values.yaml").read_text()))
    (configmap,) = documents(files["configmap.yaml"])
    path = directory / "foresail.toml"
    path.write_text(configmap["data"]["foresail.toml"].replace("/var/lib/foresail", str(directory / "store")))
    return path


async def _run(directory: Path, grpc: str, prometheus: str, rounds: int) -> dict[str, Workload]:
    """KEDA's calls and two HPAs, every 15 seconds, while demo.sh shows what comes of them."""
    objects, deployments = (_named(KIND / "workload.yaml", kind) for kind in ("ScaledObject", "Deployment"))
    both = {name: Workload(objects[name], deployments[name], directory / name) for name in ("ahead", "plain")}
    trigger = both["ahead"].metadata | {"serverAddress": prometheus}
    observed = trigger | {"mode": "observe", "headroom": "1"}
    kubectl = directory / "kubectl"
    kubectl.write_text(_KUBECTL.format(python=sys.executable, prometheus=prometheus, directory=directory))
    kubectl.chmod(0o755)
    environ = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "ROUNDS": str(rounds)}
    async with KedaClient(grpc) as keda:
        await keda.poll(ref(trigger, namespace="demo", name="ahead"))
        shown = await asyncio.create_subprocess_exec(str(KIND / "demo.sh"), env=environ)
        ended = asyncio.create_task(shown.wait())
        while not ended.done():
            (ahead,) = await keda.sync([ref(trigger, namespace="demo", name="ahead")])
            (plain,) = await keda.sync([ref(observed, namespace="demo", name="plain")])
            load = plain.value if plain.ok else 0.0
            both["ahead"].sync(_served(ahead), load)
            both["plain"].sync(_served(plain), load)
            await asyncio.wait({ended}, timeout=SYNC_PERIOD)
    return both


def _served(reading: Reading) -> float | None:
    return reading.value if reading.ok else None


def main() -> None:
    """Runs it, and says what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=48, help="rows of demo.sh, 15 s each: 40 are one day")
    rounds: int = parser.parse_args().rounds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    ports = {name: free_port() for name in ("load", "grpc", "http")}
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    with tempfile.TemporaryDirectory(prefix="foresail-rehearsal-") as scratch, contextlib.ExitStack() as running:
        directory = Path(scratch)
        (load,) = _named(KIND / "workload.yaml", "Deployment")["load"]["spec"]["template"]["spec"]["containers"]
        running.enter_context(_process(*_demo(load, listen=at["load"]), log=directory / "load.log"))
        names = {"demo-load": at["load"], "foresail": at["http"]}
        prometheus = running.enter_context(_prometheus(directory, names))
        serve = (sys.executable, "-m", "scaler", "serve", "--config", str(_settings(directory)))
        addresses = ("--grpc", at["grpc"], "--http", at["http"], "--allow-address", prometheus.removeprefix("http://"))
        running.enter_context(_process(*serve, *addresses, log=directory / "foresail.log"))
        both = asyncio.run(_run(directory, at["grpc"], prometheus, rounds))
        for name, workload in both.items():
            account = workload.account
            said = {
                "workload": name,
                "load_without_a_ready_pod": round(account.shed, 4),
                "pods": round(account.pods, 2),
            }
            sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
