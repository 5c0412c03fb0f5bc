"""What a fit takes of memory: `python -m tests.bench.fit_memory`.

For each forecaster a fit worker of its own, as the engine runs it, fits 35 days of a generated load at steps of a
minute (the longest history that is kept by default) and tells what it took at its most: address space, which
`fit_memory` bounds, and real memory, which the container's limit bounds. The chart's values rest on these figures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from forecasting.premium import CHOICES
from forecasting.registry import default_registry
from scaler.engine.frames import encode_frame, read_frame
from scaler.engine.messages import FitDone, FitRequest, FitStarted, Rung
from scaler.engine.state import BANDS

if TYPE_CHECKING:
    from typing import BinaryIO

STEP = 60
DAY = 86400 // STEP
AHEAD = 30  # minutes: a lead time of twenty, and what is added to it
DEAREST = {"ets": {"estimator": "exact"}, "arima": {"estimator": "exact"}}
GIB = 1 << 30


def load(days: int) -> bytes:
    """Requests a second with a day, a week and noise, as a message holds them."""
    minute = np.arange(days * DAY)
    day = 1.0 + 0.6 * np.sin(2 * np.pi * minute / DAY) + 0.2 * np.sin(4 * np.pi * minute / DAY)
    week = np.where(minute // DAY % 7 < 5, 1.0, 0.6)
    noise = np.random.default_rng(1).lognormal(0.0, 0.1, len(minute))
    return (100.0 * day * week * noise).astype("<f8").tobytes()


def measure(forecaster: str, *, values: bytes, limit: int) -> str:
    """One line: what a new worker took for one fit, in MiB and seconds."""
    command = (sys.executable, "-m", "scaler.engine.worker", str(limit), "600")
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # as the engine sets them
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as worker:
        requests, answers = cast("BinaryIO", worker.stdin), cast("BinaryIO", worker.stdout)
        request = FitRequest(
            ladder=[Rung(forecaster, DEAREST.get(forecaster, {}))],
            start=0,
            step=STEP,
            values=values,
            horizon=AHEAD,
            levels=sorted({*BANDS, *CHOICES}),
        )
        requests.write(encode_frame(request))
        requests.flush()
        read_frame(answers, FitStarted)
        done = read_frame(answers, FitDone)
        if done is None:
            return f"{forecaster:<18} ended with {worker.wait()}"
        status = dict(line.split(":", 1) for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines())
        space, real = (int(status[name].split()[0]) // 1024 for name in ("VmPeak", "VmHWM"))
        requests.close()
    said = "; ".join(done.failures) or "fitted"
    return f"{forecaster:<18} {space:>10} {real:>10} {done.cpu_seconds:>8.1f}   {said}"


def main() -> None:
    """Prints a line for each forecaster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forecasters", nargs="*", help="all by default")
    parser.add_argument("--days", type=int, default=35)
    parser.add_argument("--fit-memory", type=int, default=4 * GIB, help="bytes of address space, as the setting")
    arguments = parser.parse_args()
    values = load(arguments.days)
    sys.stdout.write(f"{'forecaster':<18} {'space MiB':>10} {'real MiB':>10} {'CPU s':>8}\n")
    for forecaster in arguments.forecasters or default_registry().names():
        sys.stdout.write(measure(forecaster, values=values, limit=arguments.fit_memory) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
