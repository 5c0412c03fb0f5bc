"""Cutting a history after a moment changes no forecast issued up to that moment, whatever the forecaster."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Sequence

START, STEP, TRAIN = 1767225600, 60, 90
FORECASTERS = (("naive",), ("seasonal-naive", "--parameter", "season_length=30"))

LONGEST = TRAIN + 150

loads = st.builds(
    lambda values, gaps: [math.nan if n in gaps else value for n, value in enumerate(values)],
    st.lists(st.floats(0.0, 500.0), min_size=TRAIN + 20, max_size=LONGEST),
    st.sets(st.integers(0, LONGEST), max_size=20),
)


def issued(values: Sequence[float], folder: Path, forecaster: Sequence[str], refit_every: int) -> list[str]:
    """The lines of `--forecasts`."""
    series, out = folder / "load.csv", folder / "forecasts.csv"
    series.write_text("".join(f"{START + STEP * n},{value!r}\n" for n, value in enumerate(values)))
    arguments = ["backtest", str(series), "--forecaster", *forecaster, "--refit-every", f"{refit_every}m"]
    arguments += ["--train-end", str(START + STEP * (TRAIN - 1)), "--horizon", "2m,10m", "--levels", "0.5,0.9"]
    assert main([*arguments, "--jobs", "1", "--json", "--forecasts", str(out)]) == 0
    return out.read_text().splitlines()[1:]


@given(
    values=loads,
    part=st.floats(0.0, 1.0),
    refit_every=st.integers(1, 60),
    forecaster=st.sampled_from(FORECASTERS),
)
@settings(max_examples=40)
def test_cutting_the_future_off_changes_no_forecast(
    values: Sequence[float], part: float, refit_every: int, forecaster: Sequence[str]
) -> None:
    keep = TRAIN + 11 + int(part * (len(values) - TRAIN - 12))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = issued(values, folder, forecaster, refit_every)
        cut = issued(values[:keep], folder, forecaster, refit_every)
    up_to = START + STEP * (keep - 1)
    assert cut == [line for line in whole if int(line.partition(",")[0]) <= up_to]
