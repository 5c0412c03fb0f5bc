"""Builds the image twice without a container engine, and runs it as Kubernetes would: `make image-proof`, as root.

Buildah executes the Dockerfile as it stands. The base image cannot be had here without a registry, so Debian's own
Python on the same Debian release stands in for it; everything else is what will be shipped. Then the server runs in
the image's file system: read-only but for its data, as the image's user, without capabilities, without a shell.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
BASE, IMAGE, AGAIN = (f"localhost/foresail-proof{what}" for what in ("-base", "", "-again"))
PACKAGES = "python3,python3-venv,ca-certificates"
PATIENCE = 120.0
GRPC, HTTP = 16000, 18080  # the host's ports: the chroot shares its network

# In a mount namespace of its own: the image read-only, a data directory, /dev and /proc; no shell; no root.
_INSIDE = """
set -eu
root=$1; data=$2; shift 2
mount --bind "$root" "$root"
mount --bind "$data" "$root/var/lib/foresail"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
for shell in sh bash dash rbash; do
  [ ! -e "$root/usr/bin/$shell" ] || mount --bind /dev/null "$root/usr/bin/$shell"
done
mount -o remount,ro,bind "$root"
exec chroot "$root" /usr/bin/setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs \
  --bounding-set -all --inh-caps -all "$@"
"""


def run(*command: str, cwd: str | Path = ROOT) -> str:
    """The command's output; what it says goes to the terminal."""
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, timeout=1800, cwd=cwd)
    return done.stdout.strip()


def base(cache: Path, mirror: str) -> None:
    """The stand-in for the base image, unless it is there."""
    if (
        subprocess.run(["buildah", "inspect", "--type", "image", BASE], capture_output=True, check=False).returncode
        == 0
    ):
        return
    archive = cache / "base.tar"
    if not archive.exists():
        run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(archive), mirror)
    container = run("buildah", "from", "scratch")
    run("buildah", "add", "--quiet", container, str(archive), "/")
    run("buildah", "commit", "--quiet", container, BASE)
    run("buildah", "rm", container)


def build(image: str, *, volumes: list[str]) -> None:
    """The Dockerfile, executed; times at the epoch, as a reproducible build has them."""
    given = [item for volume in volumes for item in ("--volume", volume)]
    run(
        *("buildah", "build", "--isolation", "chroot", "--timestamp", "0", "--no-cache", "--layers=false"),
        *("--build-arg", f"BASE={BASE}", "--tag", image, "--file", "deploy/image/Dockerfile", *given, "."),
        cwd=ROOT,
    )


def described(image: str) -> dict[str, Any]:
    """What buildah tells of an image."""
    found: dict[str, Any] = json.loads(run("buildah", "inspect", "--type", "image", image))
    return found


def built_alike(image: str, again: str) -> str:
    """Two builds from the same sources: the same layers and the same configuration; else what differs."""
    first, second = ({"config": one["OCIv1"], "manifest": one["Manifest"]} for one in map(described, (image, again)))
    assert first == second, f"two builds differ: {differences(image, again)}"
    digest: str = json.loads(first["manifest"])["config"]["digest"]
    return digest


def differences(*images: str) -> list[str]:
    """The files of which the images have not the same."""
    found = []
    for image in images:
        container = run("buildah", "from", image)
        try:
            root = Path(run("buildah", "mount", container))
            found.append({str(path.relative_to(root)): _state(path) for path in (root / "opt").rglob("*")})
        finally:
            run("buildah", "rm", container)
    first, second = found
    return sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path))[:20]


def _state(path: Path) -> tuple[int, int, str]:
    """What is compared of a file: mode, time, content."""
    status = path.lstat()
    content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    return status.st_mode, status.st_mtime_ns, hashlib.sha256(content).hexdigest()


def configuration() -> dict[str, Any]:
    """The image's configuration, checked for what the chart relies on."""
    config: dict[str, Any] = described(IMAGE)["OCIv1"]["config"]
    assert config["User"] == "65532:65532", config["User"]
    assert config["Entrypoint"] == ["/opt/foresail/bin/foresail"], config["Entrypoint"]
    assert config["Cmd"] == ["serve"], config["Cmd"]
    return config


def contents(root: Path) -> dict[str, Any]:
    """Every file of the packages is there, and what must not be is not; sizes and a digest over all of it."""
    venv = root / "opt/foresail"
    (site,) = venv.glob("lib/python3*/site-packages")
    listed = run("git", "ls-files", "forecasting", "scaler", cwd=ROOT).split("\n")
    missing = [path for path in listed if not (site / path).exists()]
    assert not [path for path in missing if not path.endswith(".pyi")], missing
    assert not list(site.glob("pip*")), "pip is in the image"
    assert not [path for path in venv.rglob("*") if path.owner() != "root"], "not all belongs to root"
    listed_packages = json.loads((venv / "share" / "sbom.cdx.json").read_text())["components"]
    assert "foresail" in {package["name"] for package in listed_packages}, "the bill of materials lacks the program"
    files = sorted(path for path in venv.rglob("*") if path.is_file() and not path.is_symlink())
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    size = sum(path.stat().st_size for path in files)
    return {"files": len(files), "MB": round(size / 1e6), "sha256": digest.hexdigest()}


async def serve(root: Path, data: Path, environment: list[str]) -> dict[str, Any]:
    """Starts the image's command, asks what the probes ask, and ends it as the kubelet does."""
    command = ["/usr/bin/env", "-i", *environment, "/opt/foresail/bin/foresail", "serve"]
    arguments = ["--grpc", f"127.0.0.1:{GRPC}", "--http", f"127.0.0.1:{HTTP}"]
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "--propagation", "private", "sh", "-c", _INSIDE, "sh", str(root), str(data)),
        *command,
        *arguments,
        cwd="/tmp",  # noqa: S108 - the image's working directory
    )
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{GRPC}") as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stubs know no asyncio
            request = health_pb2.HealthCheckRequest()
            check = asyncio.ensure_future(stub.Check(request, wait_for_ready=True, timeout=PATIENCE))
            ended = asyncio.create_task(process.wait())
            await asyncio.wait({check, ended}, return_when=asyncio.FIRST_COMPLETED)
            assert not ended.done(), f"the server ended with {ended.result()}"
            answer = await check
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, answer
        ready = loop.time() - began
        page = ""
        while "foresail_engine_up 1" not in page:  # the engine is a process of its own
            assert loop.time() - began < PATIENCE, page
            page = await asyncio.to_thread(_page, "/metrics")
        assert await asyncio.to_thread(_page, "/healthz") == '{"alive":true}'
        memory = _memory(process.pid)
        assert (data / "foresail.db").exists(), "the store is not in the data directory"
        process.terminate()
        code = await asyncio.wait_for(process.wait(), PATIENCE)
        assert code == 0, f"ended with {code}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
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


def fit(root: Path, data: Path, environment: list[str]) -> str:
    """Every forecaster that needs a library fits in the image: what was taken out of the libraries is not missed."""
    times = [1_700_000_000 + 300 * n for n in range(2000)]
    rows = [f"{time},{100 + 50 * ((time // 300) % 288 > 144) + time // 300 % 7}" for time in times]
    (data / "load.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
    said = []
    for forecaster in ("boosted", "ets", "arima", "seasonal-profile"):
        command = ["/opt/foresail/bin/foresail", "backtest", "/var/lib/foresail/load.csv", "--forecaster", forecaster]
        if forecaster in {"ets", "arima"}:
            command += ["--parameter", "estimator=exact"]
        command += ["--refit-every", "7d", "--jobs", "1", "--json"]
        inside = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _INSIDE, "sh", str(root), str(data))
        report = json.loads(run(*inside, "/usr/bin/env", "-i", *environment, *command, cwd="/tmp"))  # noqa: S108 - as above
        said.append(f"{forecaster} {report['horizons']['300']['mase']:.2f}")
    return ", ".join(said)


def main() -> None:
    """Builds, checks, runs; prints what it found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/foresail-image-proof"))  # noqa: S108 - root's own
    parser.add_argument("--mirror", default="http://deb.debian.org/debian")
    parser.add_argument("--volume", action="append", default=[], help="for the build, such as a pip.conf; repeatable")
    parser.add_argument("--keep", action="store_true", help="take the images that are there; do not build")
    arguments = parser.parse_args()
    data: Path = arguments.work / "data"
    data.mkdir(parents=True, exist_ok=True)
    run("chown", "65532:65532", str(data))
    if not arguments.keep:
        base(arguments.work, arguments.mirror)
        build(IMAGE, volumes=arguments.volume)
        build(AGAIN, volumes=arguments.volume)
    config = configuration()
    container = run("buildah", "from", IMAGE)
    try:
        root = Path(run("buildah", "mount", container))
        (root / "var/lib/foresail").mkdir(parents=True, exist_ok=True)  # as the kubelet does for a volume
        found: dict[str, Any] = {"built_alike": built_alike(IMAGE, AGAIN), "image": contents(root)}
        found |= asyncio.run(serve(root, data, config["Env"]))
        found["fits"] = fit(root, data, config["Env"])
    finally:
        run("buildah", "rm", container)
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
