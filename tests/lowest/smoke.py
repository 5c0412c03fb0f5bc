"""What `make lowest` runs with the lowest versions of every dependency: each part that leans on one of them, once.

A script and no test: the environment that it runs in has no pytest. It ends with 0, or with the part that failed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

_DAY = 1440
_COMMANDS = (
    ("version", ["--version"]),
    ("doctor", ["doctor", "--json"]),
    ("demo", ["demo", "--for", "25s"]),  # gRPC, the engine, its store, sources, fits, the HTTP side
)
_FORECASTERS = ("naive", "seasonal-profile", "ets", "boosted", "auto")  # numpy, statsmodels, LightGBM
# what triggers may say and no command above does: promql-parser, cronsim, holidays, tzdata
_WORDS = """
from forecasting.prepare.regions import public_holidays
from scaler.tenancy.promql import enforce
from scaler.trigger import parse_trigger

assert enforce("sum(load)", (("namespace", "shop"),)) == 'sum(load{namespace="shop"})'
events = "news: cron 0 20 * * 1-5 for 30m floor 500 in Europe/Berlin"
metadata = {"serverAddress": "http://prometheus:9090", "query": "q", "threshold": "10", "events": events}
assert len(parse_trigger(namespace="shop", name="web", metadata=metadata).events) == 1
days, _ = public_holidays("DE-BY", first=20454, last=20818)  # 2026
assert len(days) > 10, days
"""


def main() -> int:
    """Runs all parts."""
    named = (
        "grpcio",
        "numpy",
        "statsmodels",
        "lightgbm",
        "httpx",
        "aiohttp",
        "msgspec",
        "promql-parser",
        "cronsim",
        "holidays",
    )
    print(", ".join(f"{name} {version(name)}" for name in named), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        series = Path(directory) / "load.csv"
        lines = [f"{1_700_006_400 + 60 * n},{100 + 50 * (n % _DAY > 600) + n % 7}" for n in range(4 * _DAY)]
        series.write_text("\n".join(["timestamp,value", *lines]) + "\n")
        for name, command in _COMMANDS:
            _run(name, command, directory)
        _run("words", ["-c", _WORDS], directory, module=())
        for name in _FORECASTERS:
            told = _run(
                name, ["backtest", str(series), "--forecaster", name, "--json", "--refit-every", "2d"], directory
            )
            figures = json.loads(told)["horizons"]
            assert all(0.0 <= one["pinball"]["0.9"] < 100.0 for one in figures.values()), figures
    return 0


def _run(name: str, command: list[str], directory: str, *, module: tuple[str, ...] = ("-m", "scaler")) -> str:
    # from elsewhere than the checkout: what was installed is what runs
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:scaler", *module, *command],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed ({done.returncode}): {done.stdout[-2000:]}{done.stderr[-2000:]}")
    print(f"{name}: good", flush=True)
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
