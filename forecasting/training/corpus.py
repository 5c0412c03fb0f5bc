"""What the recurrent network is trained on: real histories, the end of each kept back, and generated ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import FitFailed
from forecasting.generate import any_series
from forecasting.training.examples import examples, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forecasting.series import TimeSeries
    from forecasting.training.examples import Examples

__all__ = ["Corpus", "Recipe", "corpus"]

_GENERATED_DAYS = (3.0, 18.0)


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
    usable = [s for s in series if s.known * s.step >= 43_200]
    total = len(usable) + recipe.generated
    if not total:
        raise FitFailed(f"none of these {len(series)} series has the half day that a network learns from")
    train, validate = [], []
    for number in range(total):
        random = np.random.default_rng(
            [recipe.seed, number if number < len(usable) else 1_000_000 + number - len(usable)]
        )
        if number < len(usable):
            one, origins = usable[number], recipe.origins
        else:
            one = any_series(random, days=_GENERATED_DAYS)
            origins = recipe.generated_origins
        cut = len(one) - int(recipe.validation * len(one))
        train.append(examples(one, first=21_600 // one.step, end=cut, count=origins, random=random))
        if number < len(usable) or number % 4 == 0:
            count = max(1, int(recipe.validation * origins))
            validate.append(examples(one, first=cut, end=len(one), count=count, random=random))
        told(number + 1, total)
    return Corpus(joined(train), joined(validate), len(usable))
