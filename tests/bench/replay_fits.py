"""The fits of a trace for `make bench-replay`, and their forecasts, kept so that policies are judged without fitting.

One fit serves all pod start-up times: it forecasts as far as the longest needs. What is kept is forecast at every level
that a premium may choose and at those that each may be corrected to, in single precision. A run that fits reads what it
has just written, so that it says what later ones say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from forecasting.adaptive import RANK_LEVELS
from forecasting.batch import ForecastBatch
from forecasting.evaluation import Refit
from forecasting.premium import CHOICES, level_within, premiums
from forecasting.serialise import dumps, loads
from scaler.cli.replay.jobs import FitJob, Fitted, fit, ranks_earned
from scaler.decision.reading import levels_for
from scaler.engine.state import BANDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from forecasting.series import FloatArray

__all__ = ["LEVELS", "Kept", "fit_all", "load", "save"]

LEVELS = tuple(sorted({*BANDS, *RANK_LEVELS, *chain.from_iterable(levels_for(level) for level in CHOICES)}))


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A fit, its forecasts until the next, and what they add.

    Attributes:
        fitted: At LEVELS.
        premiums: As of `forecasting.premium.premiums`; None: not known.
    """

    fitted: Fitted
    premiums: FloatArray | None

    def under(self, job: FitJob) -> Fitted:
        """As the job would have had it: tested on its window, and with the quantile that its premium buys."""
        chosen = None
        if job.premium is not None:
            chosen = level_within(self.premiums, job.premium, steps=job.steps, highest=job.highest)
        refit = self.fitted.refit
        ranks = self.fitted.ranks if refit is None else ranks_earned(job, job.series, refit)
        return replace(self.fitted, chosen=chosen, ranks=ranks)


def fit_all(jobs: Sequence[FitJob]) -> list[Kept]:
    """Fits, whatever windows and premiums the jobs have."""
    out = []
    for job in jobs:
        fitted = fit(replace(job, levels=LEVELS, steps=0, premium=None))
        found = None
        if fitted.refit is not None:
            past = job.series.until(fitted.refit.at).last(job.history)
            found = premiums(fitted.refit.fitted, past, horizon=job.horizon)
        out.append(Kept(fitted, found))
    return out


def save(path: Path, kept: Sequence[Kept]) -> None:
    """Writes them, NumPy's format without pickles."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, one in enumerate(kept):
        refit = one.fitted.refit
        if refit is None:
            raise ValueError(f"no forecaster could be fitted to {path.stem}: {one.fitted.explanation}")
        arrays |= {
            f"{number} {name}": value
            for name, value in {
                "model": np.frombuffer(dumps(refit.fitted), dtype=np.uint8),
                "words": np.array([one.fitted.forecaster, one.fitted.explanation]),
                "at": np.array(refit.at),
                "origins": refit.batch.origins,
                "positions": refit.positions,
                "peak": refit.batch.peak.astype(np.float32),
                "premiums": np.empty(0) if one.premiums is None else one.premiums,
            }.items()
        }
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes the names for its own arguments
    partial.rename(path)


def load(path: Path, *, step: int) -> list[Kept]:
    """Reads them."""
    out = []
    with np.load(path) as arrays:
        for number in range(sum(name.endswith(" at") for name in arrays.files)):
            found = {name: arrays[f"{number} {name}"] for name in _NAMES}
            peak = found["peak"].astype(np.float64)
            batch = ForecastBatch(found["origins"], step, LEVELS, peak, peak)  # policies look at peaks alone
            model = loads(found["model"].tobytes())
            refit = Refit(int(found["at"]), model, "", 0.0, 0.0, batch, found["positions"])
            forecaster, explanation = (str(word) for word in found["words"])
            known = found["premiums"] if found["premiums"].size else None
            out.append(Kept(Fitted(forecaster, explanation, refit), known))
    return out


_NAMES = ("model", "words", "at", "origins", "positions", "peak", "premiums")
