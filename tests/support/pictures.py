"""The pictures in docs/, cut out of a page that `foresail replay` wrote: `make pictures`."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from scaler.report.style import style

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
TRACE = ROOT / "tests" / "data" / "traces" / "nasa_http_jul95_21d.csv.gz"
REPLAY = ("--target", "13.5", "--forecaster", "seasonal-profile", "--behavior", "default", "--train-fraction", "0.9")
PLOTS = {
    "replay-foresail.svg": r"load and capacity over time: Foresail",
    "replay-plain.svg": r"load and capacity over time: plain KEDA, headroom",
    "replay-cost.svg": r"cost against shortfall",
}


def cut(page: str) -> dict[str, str]:
    """The first plot of each kind, each as a file that stands alone."""
    plots = re.findall(r'<svg viewBox="[^"]*" role="img" aria-label="[^"]*">.*?</svg>', page, flags=re.DOTALL)
    found = {}
    for name, label in PLOTS.items():
        plot = next(plot for plot in plots if re.search(f'aria-label="{label}', plot))
        opening, _, rest = plot.partition(">")
        sheet = f"<style>{style()} svg{{background:var(--bg);font-family:sans-serif}}</style>"
        found[name] = f'{opening} xmlns="http://www.w3.org/2000/svg">{sheet}{rest}\n'
    return found


def main() -> None:
    """Replays, and writes the pictures."""
    with tempfile.TemporaryDirectory() as directory:
        series, page = Path(directory) / "nasa.csv", Path(directory) / "replay.html"
        series.write_bytes(gzip.decompress(TRACE.read_bytes()))
        command = [sys.executable, "-m", "scaler", "replay", str(series), *REPLAY, "--jobs", "1", "--html", str(page)]
        subprocess.run(command, check=True, cwd=ROOT)
        PICTURES.mkdir(exist_ok=True)
        for name, plot in cut(page.read_text()).items():
            (PICTURES / name).write_text(plot)


if __name__ == "__main__":
    main()
