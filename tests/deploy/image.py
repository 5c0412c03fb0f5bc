"""Builds the image twice with Docker, compares the two, and runs it as Kubernetes would: `make image-proof`, as root.

A Docker daemon is started for this alone where none runs. Where no registry can be reached the base image cannot be
had: then Debian's own Python on the same Debian release stands in for it (the default; `--base IMAGE` for the real
one). Everything else is what will be shipped. The container has what the manifests of deploy/kustomize give it: its
arguments, settings, user, memory limit, a read-only file system, no capabilities. It has no shell either.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import grpc
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy" / "kustomize" / "base"
BASE, IMAGE, AGAIN = "foresail-proof-base", "foresail-proof:first", "foresail-proof:again"
PACKAGES = "python3,python3-venv,ca-certificates"
SHELLS = ("sh", "bash", "dash", "rbash")
SETTINGS = "/etc/foresail/settings/foresail.toml"
PATIENCE = 120.0
GRPC, HTTP = 16000, 18080  # the host's ports: the container shares its network


class Docker:
    """Docker's command line, at a daemon."""

    def __init__(self, host: str | None) -> None:
        self._environ = {**os.environ, "DOCKER_BUILDKIT": "1", **({"DOCKER_HOST": host} if host else {})}
        # Debian's client has BuildKit within; others want a plug-in that may not be there
        self._program = next((path for path in ("/usr/bin/docker",) if Path(path).exists()), "docker")

    def __call__(self, *words: str) -> str:
        """The command's output; what it says goes to the terminal."""
        command = [self._program, *words]
        done = subprocess.run(
            command, check=True, text=True, stdout=subprocess.PIPE, timeout=1800, cwd=ROOT, env=self._environ
        )
        return done.stdout.strip()

    def tried(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The same where failing is an answer."""
        command = [self._program, *words]
        return subprocess.run(
            command, check=False, text=True, capture_output=True, timeout=60, cwd=ROOT, env=self._environ
        )

    def files(self, image: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        """Everything in the image's file system, with the content of files."""
        container = self("create", image)
        try:
            command = [self._program, "export", container]
            with (
                subprocess.Popen(command, stdout=subprocess.PIPE, env=self._environ) as exported,
                tarfile.open(fileobj=cast("IO[bytes]", exported.stdout), mode="r|") as archive,
            ):
                for member in archive:
                    content = archive.extractfile(member) if member.isfile() else None
                    yield member, content.read() if content else b""
        finally:
            self("rm", container)


@contextlib.contextmanager
def engine(work: Path) -> Iterator[Docker]:
    """The daemon that runs here, or one of its own, without a network of its own."""
    docker = Docker(None)
    if docker.tried("info").returncode == 0:
        yield docker
        return
    host = f"unix://{work}/docker.sock"
    roots = ("--data-root", str(work / "docker"), "--exec-root", str(work / "run"), "--pidfile", str(work / "pid"))
    quiet = ("--bridge", "none", "--iptables=false", "--ip6tables=false")
    with (work / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(["dockerd", "--host", host, *roots, *quiet], stdout=log, stderr=log)
    try:
        docker, deadline = Docker(host), time.monotonic() + PATIENCE
        while docker.tried("info").returncode:
            assert daemon.poll() is None, (work / "dockerd.log").read_text()[-3000:]
            assert time.monotonic() < deadline, "dockerd does not answer"
            time.sleep(0.5)
        yield docker
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)


def stand_in(docker: Docker, work: Path, *, mirror: str, additions: list[str]) -> str:
    """Debian with its Python, and what it needs to reach the package index from here."""
    archive = work / "base.tar"
    if not archive.exists():
        command = ("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm")
        subprocess.run([*command, str(archive), mirror], check=True, timeout=600)
    docker("import", str(archive), BASE)
    container = docker("create", BASE, "true")
    for addition in additions:
        source, _, target = addition.partition(":")
        docker("cp", "--follow-link", source, f"{container}:{target}")
    docker("commit", container, BASE)
    docker("rm", container)
    return BASE


def build(docker: Docker, image: str, base: str) -> None:
    """The Dockerfile, all of it anew."""
    given = ("--build-arg", f"BASE={base}", "--tag", image, "--file", "deploy/image/Dockerfile")
    docker("build", "--quiet", "--no-cache", "--network", "host", *given, ".")


def layers(docker: Docker, image: str) -> list[str]:
    """Digests of the archives that the image is made of: bytes, names, owners, modes and times."""
    found: list[str] = json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image))
    return found


def alike(docker: Docker) -> str:
    """Two builds from the same sources have the same layers; else it tells what differs. Their digests."""
    first, second = layers(docker, IMAGE), layers(docker, AGAIN)
    if first != second:
        one, other = (
            {entry.name: _state(entry, data) for entry, data in docker.files(image) if entry.name.startswith("opt")}
            for image in (IMAGE, AGAIN)
        )
        differ = sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
        raise AssertionError(f"two builds differ in {len(differ)} files: {differ[:20]}")
    return " ".join(first)


def _state(entry: tarfile.TarInfo, data: bytes) -> tuple[int, int, float, str]:
    """What is compared of a file: mode, owner, time, content."""
    return entry.mode, entry.uid, entry.mtime, hashlib.sha256(data).hexdigest()


def configuration(docker: Docker) -> None:
    """The image's configuration, checked for what the chart relies on."""
    config = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", IMAGE))
    assert config["User"] == "65532:65532", config["User"]
    assert config["Entrypoint"] == ["/opt/foresail/bin/foresail"], config["Entrypoint"]
    assert config["Cmd"] == ["serve"], config["Cmd"]


def contents(docker: Docker) -> dict[str, Any]:
    """Every file of the packages is there, and what must not be is not; sizes."""
    found: dict[str, tarfile.TarInfo] = {}
    components = []
    for member, data in docker.files(IMAGE):
        found[member.name] = member
        if member.name == "opt/foresail/share/sbom.cdx.json":
            components = json.loads(data)["components"]
    ours = {name: member for name, member in found.items() if name.startswith("opt/foresail/")}
    (site,) = {name for name in ours if name.endswith("/site-packages")}
    listed = subprocess.run(
        ["git", "ls-files", "forecasting", "scaler"], check=True, text=True, capture_output=True, cwd=ROOT
    ).stdout.split()
    missing = [path for path in listed if f"{site}/{path}" not in ours and not path.endswith(".pyi")]
    assert not missing, missing
    assert not [name for name in ours if name.startswith(f"{site}/pip")], "pip is in the image"
    assert not [name for name, member in ours.items() if member.uid], "not all belongs to root"
    assert "foresail" in {package["name"] for package in components}, "the bill of materials lacks the program"
    files = [member for member in ours.values() if member.isfile()]
    return {
        "files": len(files),
        "MB": round(sum(member.size for member in files) / 1e6),
        "whole_MB": round(sum(member.size for member in found.values()) / 1e6),
        "shells": [name for name in SHELLS if f"usr/bin/{name}" in found or f"bin/{name}" in found],
    }


def as_in_the_manifests(data: Path, shells: list[str]) -> list[str]:
    """Docker's options for what the StatefulSet asks of Kubernetes; and no shell."""
    pod = yaml.safe_load((MANIFESTS / "statefulset.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    user, secured = pod["securityContext"], container["securityContext"]
    assert (secured["readOnlyRootFilesystem"], secured["allowPrivilegeEscalation"]) == (True, False)
    memory = container["resources"]["limits"]["memory"].replace("Gi", "g")
    return [
        *("--network", "host", "--read-only", "--security-opt", "no-new-privileges"),
        *("--user", f"{user['runAsUser']}:{user['runAsGroup']}", "--memory", memory, "--memory-swap", memory),
        *(word for name in secured["capabilities"]["drop"] for word in ("--cap-drop", name)),
        *("--tmpfs", "/tmp:size=64m", "--volume", f"{data}:/var/lib/foresail"),  # noqa: S108 - the container's own
        *("--volume", f"{MANIFESTS / 'foresail.toml'}:{SETTINGS}:ro"),
        *(word for shell in shells for word in ("--volume", f"/dev/null:/usr/bin/{shell}:ro")),
    ]


async def serve(docker: Docker, options: list[str], data: Path) -> dict[str, Any]:
    """Starts the image's command, asks what the probes ask, and ends it as the kubelet does."""
    ports = ("--grpc", f"127.0.0.1:{GRPC}", "--http", f"127.0.0.1:{HTTP}")
    began = time.monotonic()
    container = docker("run", "--detach", *options, IMAGE, "serve", f"--config={SETTINGS}", *ports)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{GRPC}") as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stubs know no asyncio
            request = health_pb2.HealthCheckRequest()
            answer = await stub.Check(request, wait_for_ready=True, timeout=PATIENCE)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, answer
        ready = time.monotonic() - began
        page = ""
        while "foresail_engine_up 1" not in page:  # the engine is a process of its own
            assert time.monotonic() - began < PATIENCE, page
            page = await asyncio.to_thread(_page, "/metrics")
        assert await asyncio.to_thread(_page, "/healthz") == '{"alive":true}'
        memory = _memory(int(docker("inspect", "--format", "{{.State.Pid}}", container)))
        asked = docker.tried(
            "exec", container, "foresail", "explain", "shop/web", "--server", f"http://127.0.0.1:{HTTP}"
        )
        assert "shop/web" in asked.stdout + asked.stderr, asked
        assert (data / "foresail.db").exists(), "the store is not in the data directory"
        docker("stop", "--time", "60", container)
        code = docker("inspect", "--format", "{{.State.ExitCode}}", container)
        assert code == "0", f"ended with {code}: {docker.tried('logs', container).stderr[-2000:]}"
    except BaseException:
        sys.stderr.write(docker.tried("logs", container).stderr[-3000:])
        raise
    finally:
        docker("rm", "--force", container)
    return {"ready_s": round(ready, 2), "memory_MB": memory}


def _page(path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP}{path}", timeout=10) as response:
        text: str = response.read().decode()
        return text


def _memory(pid: int) -> dict[str, int]:
    """Proportional set size of the process and of its children, without triggers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {name: _pss(int(one)) for name, one in zip(("edge", "engine"), (str(pid), *children), strict=False)}


def _pss(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return round(int(rollup.partition("\nPss:")[2].split()[0]) * 1024 / 1e6)


def fit(docker: Docker, options: list[str], data: Path) -> str:
    """Every forecaster that needs a library fits in the image: what was taken out of the libraries is not missed."""
    times = [1_700_000_000 + 300 * n for n in range(2000)]
    rows = [f"{time},{100 + 50 * ((time // 300) % 288 > 144) + time // 300 % 7}" for time in times]
    (data / "load.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
    said = []
    for forecaster in ("boosted", "ets", "arima", "seasonal-profile"):
        command = ["backtest", "/var/lib/foresail/load.csv", "--forecaster", forecaster]
        if forecaster in {"ets", "arima"}:
            command += ["--parameter", "estimator=exact"]
        command += ["--refit-every", "7d", "--jobs", "1", "--json"]
        report = json.loads(docker("run", "--rm", *options, IMAGE, *command))
        said.append(f"{forecaster} {report['horizons']['300']['mase']:.2f}")
    return ", ".join(said)


def main() -> None:
    """Builds, compares, checks, runs; prints what it found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/foresail-image-proof"))  # noqa: S108 - root's own
    parser.add_argument("--base", metavar="IMAGE", help="the base image, where there is a registry; no stand-in then")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="of Debian, for the stand-in")
    parser.add_argument(
        "--add", action="append", default=[], metavar="SOURCE:TARGET", help="to the stand-in: pip.conf, authorities"
    )
    parser.add_argument("--keep", action="store_true", help="take the images that are there; do not build")
    arguments = parser.parse_args()
    data: Path = arguments.work / "data"
    data.mkdir(parents=True, exist_ok=True)
    os.chown(data, 65532, 65532)
    with engine(arguments.work) as docker:
        if not arguments.keep:
            base = arguments.base or stand_in(docker, arguments.work, mirror=arguments.mirror, additions=arguments.add)
            for image in (IMAGE, AGAIN):
                build(docker, image, base)
        configuration(docker)
        found: dict[str, Any] = {"image": contents(docker)}
        options = as_in_the_manifests(data, found["image"]["shells"])
        found |= asyncio.run(serve(docker, options, data))
        found["fits"] = fit(docker, options, data)
        found["built_twice_alike"] = alike(docker)
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
