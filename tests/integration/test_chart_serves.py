"""What the chart renders, started: its settings, arguments and environment, asked as the kubelet and KEDA would."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import yaml
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.support import manifests
from tests.support.authority import Authority
from tests.support.manifests import documents
from tests.support.server import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "foresail.foresail.svc"
TLS = yaml.safe_load((manifests.CHART / "ci" / "tls-cert-manager-values.yaml").read_text())


class Pod:
    """The container's process, its mounts below a directory, its ports free ones."""

    def __init__(self, files: dict[str, str], directory: Path) -> None:
        (stateful,) = documents(files["statefulset.yaml"])
        (configmap,) = documents(files["configmap.yaml"])
        (self.container,) = stateful["spec"]["template"]["spec"]["containers"]
        self._directory = directory
        for mount in self.container["volumeMounts"]:
            self.at(mount["mountPath"]).mkdir(parents=True, exist_ok=True)
        settings: str = configmap["data"]["foresail.toml"]
        for path in ("/etc/foresail", "/var/lib/foresail"):
            settings = settings.replace(f'"{path}', f'"{self.at(path)}')
        for name in ("grpc", "http"):
            settings = settings.replace(f"[::]:{self._declared(name)}", "127.0.0.1:0")
        self.at("/etc/foresail/settings/foresail.toml").write_text(settings.replace('"5s"', '"0s"'))
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.ports: dict[str, int] = {}

    def at(self, path: str) -> Path:
        """Where a path of the container is."""
        return self._directory / path.removeprefix("/")

    def _declared(self, name: str) -> int:
        found: int = next(port["containerPort"] for port in self.container["ports"] if port["name"] == name)
        return found

    async def start(self) -> None:
        await asyncio.to_thread(self._spawn)
        await until(self._serving, self._log.read_text)

    def _spawn(self) -> None:
        arguments = [word.replace("/etc/foresail", str(self.at("/etc/foresail"))) for word in self.container["args"]]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([sys.executable, "-m", "scaler", *arguments], stderr=log)

    async def _serving(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        for line in self._log.read_text().splitlines():
            told = json.loads(line)
            if told["event"] == "serving":
                self.ports = {name: int(told[name].rpartition(":")[2]) for name in ("grpc", "http")}
                return True
        return False

    async def passes(self, probe: str) -> bool:
        """Whether the kubelet would be content; it takes any certificate, and shows none."""
        asked: dict[str, Any] = self.container[probe]
        if "grpc" in asked:
            assert asked["grpc"]["port"] == self._declared("grpc")
            return await healthy(grpc.aio.insecure_channel(f"127.0.0.1:{self.ports['grpc']}"))
        get = asked["httpGet"]
        trusting = ssl._create_unverified_context()  # noqa: S323 - as the kubelet does
        url = f"{get['scheme'].lower()}://127.0.0.1:{self.ports[get['port']]}{get['path']}"
        return await asyncio.to_thread(_answers, url, trusting)

    def end(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)


def _answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as response:  # noqa: S310 - our own server
            return bool(response.status == 200)
    except urllib.error.HTTPError:
        return False


async def healthy(channel: grpc.aio.Channel) -> bool:
    async with channel:
        stub: Any = HealthStub(channel)  # its type stubs know no asyncio
        answer = await stub.Check(HealthCheckRequest(), timeout=PATIENCE)
        return bool(answer.status == HealthCheckResponse.SERVING)


@pytest.fixture
def pods() -> Iterator[list[Pod]]:
    started: list[Pod] = []
    yield started
    for pod in started:
        pod.kill()


async def content(pod: Pod) -> None:
    """Every probe passes, readiness once the engine is up."""
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):

        async def passed(probe: str = probe) -> bool:
            return await pod.passes(probe)

        await until(passed, lambda probe=probe: f"{probe} does not pass")  # type: ignore[misc]


async def test_the_defaults_serve_and_pass_their_probes(tmp_path: Path, pods: list[Pod]) -> None:
    (files,) = manifests.render({})
    pod = Pod(files, tmp_path)
    pods.append(pod)
    await pod.start()
    await content(pod)
    assert pod.at("/var/lib/foresail/foresail.db").exists()
    assert pod.end() == 0


async def test_with_tls_keda_needs_its_certificate_and_the_kubelet_none(tmp_path: Path, pods: list[Pod]) -> None:
    (files,) = manifests.render(TLS)
    pod = Pod(files, tmp_path)
    pods.append(pod)
    authority, clients = Authority(tmp_path, "server"), Authority(tmp_path, "clients")
    (certificate,) = documents(files["certificate.yaml"])
    server = authority.issue(",".join(f"DNS:{name}" for name in certificate["spec"]["dnsNames"]))
    (name,) = TLS["settings"]["tls_grpc_clients"]
    keda = clients.issue(f"DNS:{name}")
    pod.at("/etc/foresail/tls/tls.crt").write_bytes(server.cert.read_bytes())
    pod.at("/etc/foresail/tls/tls.key").write_bytes(server.key.read_bytes())
    pod.at("/etc/foresail/client-ca/ca.crt").write_bytes(clients.cert.read_bytes())
    await pod.start()
    await content(pod)
    shown = grpc.ssl_channel_credentials(authority.cert.read_bytes(), keda.key.read_bytes(), keda.cert.read_bytes())
    none = grpc.ssl_channel_credentials(authority.cert.read_bytes())
    options = [("grpc.ssl_target_name_override", NAME)]
    address = f"127.0.0.1:{pod.ports['grpc']}"
    assert await healthy(grpc.aio.secure_channel(address, shown, options=options))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await healthy(grpc.aio.secure_channel(address, none, options=options))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
