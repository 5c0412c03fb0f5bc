"""What the recurrent network is trained on: real histories, the end of each kept back, and generated ones.

A real history of minutes is shown in steps of five minutes, too: those who scrape seldom shall be served as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import FitFailed
from forecasting.generate import any_series
from forecasting.series import TimeSeries
from forecasting.training.examples import examples, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forecasting.training.examples import Examples

__all__ = ["Corpus", "Recipe", "Shown", "coarser", "corpus", "generated", "real", "usable"]

_GENERATED_DAYS = (3.0, 18.0)
_COARSE = 300  # seconds: the step that finer histories are shown in, too
_COARSE_SHARE = 0.5  # of the origins that a history is shown from in its own step
_VALIDATED = 4  # one in so many generated series says when to stop, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How much is shown.

    Attributes:
        origins: Of each real series, at most.
        generated: How many generated series stand beside the real ones.
        generated_origins: Of each of these.
        validation: Share of each series' end that early stopping looks at.
        seed: Of all that is drawn.
    """

    origins: int = 5000
    generated: int = 600
    generated_origins: int = 180
    validation: float = 0.1
    seed: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Examples of one history.

    Attributes:
        train: From its first part.
        validate: From what came after it.
    """

    train: Examples
    validate: Examples


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Examples to learn from, and examples that say when to stop.

    Attributes:
        train: From the first part of each series.
        validate: From what came after it.
        series: Real series that could be used.
    """

    train: Examples
    validate: Examples
    series: int

    @classmethod
    def of(cls, parts: Sequence[Shown], *, series: int) -> Corpus:
        """All of these, of which so many are of real series: those first."""
        validating = [
            part.validate for number, part in enumerate(parts) if number < series or (number - series) % _VALIDATED == 0
        ]
        return cls(joined([part.train for part in parts]), joined(validating), series)


def corpus(
    series: Sequence[TimeSeries], recipe: Recipe, *, told: Callable[[int, int], None] = lambda _done, _all: None
) -> Corpus:
    """Examples of these histories and of generated ones.

    Args:
        series: Real histories; those with less than half a day known are left out.
        recipe: How much is shown.
        told: Called with the series done and their number.

    Raises:
        FitFailed: Nothing is left to learn from.
    """
    histories = [one for one in series if usable(one)]
    total = len(histories) + recipe.generated
    if not total:
        raise FitFailed(f"none of these {len(series)} series has the half day that a network learns from")
    parts = []
    for number in range(total):
        if number < len(histories):
            parts.append(real(histories[number], number, recipe))
        else:
            parts.append(generated(number - len(histories), recipe))
        told(number + 1, total)
    return Corpus.of(parts, series=len(histories))


def usable(series: TimeSeries) -> bool:
    """Whether half a day of it is known."""
    return series.known * series.step >= 43_200


def real(series: TimeSeries, number: int, recipe: Recipe) -> Shown:
    """Examples of a history; its number seeds what is drawn."""
    random = np.random.default_rng([recipe.seed, number])
    own = _shown(series, recipe.origins, recipe, random)
    coarse = coarser(series)
    if coarse is None:
        return own
    other = _shown(coarse, round(_COARSE_SHARE * recipe.origins), recipe, random)
    return Shown(joined([own.train, other.train]), joined([own.validate, other.validate]))


def generated(number: int, recipe: Recipe) -> Shown:
    """Examples of a generated series; its number seeds all of it."""
    random = np.random.default_rng([recipe.seed, 1_000_000 + number])
    return _shown(any_series(random, days=_GENERATED_DAYS), recipe.generated_origins, recipe, random)


def _shown(series: TimeSeries, origins: int, recipe: Recipe, random: np.random.Generator) -> Shown:
    cut = len(series) - int(recipe.validation * len(series))
    few = max(1, int(recipe.validation * origins))
    return Shown(
        examples(series, first=21_600 // series.step, end=cut, count=origins, random=random),
        examples(series, first=cut, end=len(series), count=few, random=random),
    )


def coarser(series: TimeSeries) -> TimeSeries | None:
    """The mean of what is known in each coarse step; None if the series' own step is no part of one."""
    if series.step >= _COARSE or _COARSE % series.step:
        return None
    many = _COARSE // series.step
    # the sample at t holds what came after t - step, and so does the coarse one
    lead = ((series.start - series.step) % _COARSE) // series.step
    padded = np.concatenate([np.full(lead, np.nan), series.values])
    padded = np.concatenate([padded, np.full(-len(padded) % many, np.nan)]).reshape(-1, many)
    known = ~np.isnan(padded)
    count = known.sum(axis=1)
    mean = np.where(known, padded, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    return TimeSeries((series.start - series.step) // _COARSE * _COARSE + _COARSE, _COARSE, mean)
