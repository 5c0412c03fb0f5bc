"""What was one season ago: yesterday, or last week.

Source: Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd ed., 2021, section 5.2. The season is
the strongest found; where none is proven, the day, or a third of the history if that is shorter. History: 60 known
samples. Cost: a tenth of a second to fit 10,080 points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from forecasting.paths import PathForecaster, fit_calibrated, require
from forecasting.prepare.gaps import carried
from forecasting.prepare.seasons import checked_season_length, find_seasons
from forecasting.serialise import stored_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import Windows

__all__ = ["FittedSeasonalNaive", "SeasonalNaive"]

_MIN_HISTORY = 60
_DAY = 86400


@stored_as("seasonal-naive/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedSeasonalNaive(PathForecaster):
    """Repeats the last season, with conformal bands.

    Attributes:
        season_length: Steps in the season.
    """

    season_length: int

    @property
    def context_length(self) -> int:
        """One season."""
        return self.season_length

    def paths(self, windows: Windows, horizon: int) -> FloatArray:
        """The last season's values, over and over; what is missing there, as the sample before it."""
        return carried(windows.values)[:, np.arange(horizon) % self.season_length]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonalNaive:
    """The value one season ago.

    Attributes:
        season_length: Steps in the season; None: found.
    """

    name: ClassVar[str] = "seasonal-naive"
    season_length: int | None = None

    def __post_init__(self) -> None:
        checked_season_length(self.season_length, least=1)

    def min_history(self, step: int) -> int:
        """Known samples needed: with a season given, one and a half of it."""
        del step
        return _MIN_HISTORY if self.season_length is None else max(_MIN_HISTORY, self.season_length * 3 // 2)

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedSeasonalNaive:
        """Finds the season, unless given, and ranks how far the series was from it."""
        del levels  # calibrated on a grid that serves all
        require(self.name, series, self.min_history(series.step))
        length = self.season_length or _season_length(series)

        def estimate(scaled: TimeSeries) -> FittedSeasonalNaive:
            return FittedSeasonalNaive(step=scaled.step, season_length=length)

        # the first season has no season before it: residuals from there would be of a method that is not used
        return fit_calibrated(estimate, series, horizon=horizon, folds=(), skip=length)


def _season_length(series: TimeSeries) -> int:
    seasons = find_seasons(series, limit=1)
    if seasons:
        return seasons[0].length
    return max(1, min(_DAY // series.step, len(series) // 3))
