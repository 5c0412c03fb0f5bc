"""Whether a new model may take the place of the one in use: both forecast what neither has learned from.

Every method is fitted once, at the end of what may be learned from, and forecasts the rest. What counts is the
pinball loss of values and peaks at several horizons and levels, as a share of the last value's (`naive`), geometric
mean over series: a large series counts as much as a small one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import ForecastError
from forecasting.evaluation import evaluate, rolling_forecasts
from forecasting.models.boosted import Boosted
from forecasting.models.lstm import Lstm
from forecasting.models.naive import Naive
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.selection import Auto
from scaler.training.files import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from forecasting.forecaster import Forecaster
    from forecasting.series import FloatArray
    from scaler.training.files import Trained
    from scaler.training.split import Tested

__all__ = ["CHALLENGER", "CHAMPION", "Verdict", "judge"]

CHALLENGER, CHAMPION = "the new model", "the one in use"
LEVELS = (0.5, 0.9, 0.95)
_MINUTES = (5, 15, 60)
_ORIGINS = 150
_HISTORY = 21 * 86400
_MOST = 12  # series judged


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the new model did.

    Attributes:
        losses: Pinball loss as a share of `naive`'s by method, geometric mean over the series that it could forecast.
        series: How many series were judged.
        unseen: How many of these were kept back whole.
    """

    losses: Mapping[str, float]
    series: int
    unseen: int

    @property
    def lost(self) -> bool:
        """Whether the new model loses to the one in use."""
        return not self.losses[CHALLENGER] <= self.losses[CHAMPION]


def judge(
    tested: Sequence[Tested],
    *,
    kind: str,
    challenger: Trained,
    champion: Trained,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verdict:
    """Lets both forecast, and simple methods and `auto` beside them.

    Args:
        tested: Where; at most twelve are judged, those kept back whole first.
        kind: Of model; see `scaler.training.files.KINDS`.
        challenger: The new model.
        champion: The one in use.
        told: Called with the series done and their number.
    """
    chosen = sorted(tested, key=lambda one: not one.unseen)[:_MOST]
    known = KINDS[kind].known
    methods: dict[str, Forecaster] = {
        CHALLENGER: _made(kind, known.remember(challenger)),
        CHAMPION: _made(kind, known.remember(champion)),
        "seasonal-naive": SeasonalNaive(),
        "auto": Auto(**{"network" if kind == "lstm" else "fleet": known.remember(champion)}),
    }
    ratios: dict[str, list[float]] = {name: [] for name in methods}
    judged = unseen = 0
    for number, one in enumerate(chosen):
        naive = _losses(one, Naive())
        found = {name: _losses(one, method) for name, method in methods.items()}
        told(number + 1, len(chosen))
        if naive is None or found[CHALLENGER] is None or found[CHAMPION] is None:
            continue
        judged, unseen = judged + 1, unseen + one.unseen
        for name, losses in found.items():
            if losses is not None:
                usable = (naive > 0) & np.isfinite(losses) & np.isfinite(naive)
                ratios[name].append(float(np.mean(losses[usable] / naive[usable])) if usable.any() else 1.0)
    means = {name: float(np.exp(np.mean(np.log(np.maximum(r, 1e-6))))) for name, r in ratios.items() if r}
    return Verdict({"naive": 1.0, **means} if judged else {}, judged, unseen)


def _made(kind: str, digest: str) -> Forecaster:
    return Lstm(weights=digest) if kind == "lstm" else Boosted(fleet=digest)


def _losses(one: Tested, method: Forecaster) -> FloatArray | None:
    """Mean pinball losses over kinds, horizons and levels, flat; None if the method cannot forecast the series."""
    series = one.series
    horizons = sorted({max(1, minutes * 60 // series.step) for minutes in _MINUTES})
    ahead = (series.end - one.train_end) // series.step
    if ahead < 2 * horizons[-1]:
        return None
    try:
        refits = tuple(
            rolling_forecasts(
                series,
                method,
                train_end=one.train_end,
                horizon=horizons[-1],
                levels=LEVELS,
                refit_every=series.end - one.train_end + series.step,
                history=_HISTORY // series.step,
                stride=max(1, ahead // _ORIGINS),
            )
        )
        found = evaluate(series, refits, horizons=horizons, levels=LEVELS, train_end=one.train_end)
    except ForecastError:
        return None
    return np.array([
        scores[horizon].pinball[level]
        for scores in (found.values, found.peaks)
        for horizon in horizons
        for level in LEVELS
    ])  # fmt: skip
