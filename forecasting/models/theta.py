"""Theta: between the level that smoothing sees and the straight line of the recent past.

The curvature of the load is stretched by theta about a line through the recent samples; the stretched series is
smoothed, and the forecast is the weighted mean of that and of the line, the weights being those that restore it.
Theta 2 is the method that won the M3 competition, simple exponential smoothing with half the slope of the line as
drift; theta 1 is the smoothing alone. The line is drawn anew at each origin, as load has no trend that
lasts; theta, the smoothing and how far the line reaches back are those that forecast best over
several horizons in training.

Sources: Assimakopoulos and Nikolopoulos, "The theta model", International Journal of Forecasting 16, 2000; Hyndman and
Billah, "Unmasking the theta method", the same 19, 2003; Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler, "Models
for optimising the theta method and their relationship to state space models", the same 32, 2016. History: 240 known
samples; two cycles before a season counts. Cost: a quarter of a second to fit 10,080 points.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasting.deseasonalised import best_weights, deseasonalised, level_and_trend
from forecasting.errors import InvalidParameter
from forecasting.paths import PathForecaster, fit_calibrated, require
from forecasting.prepare.profile import Profile
from forecasting.prepare.seasons import checked_season_length, season_lengths
from forecasting.serialise import stored_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import Windows

__all__ = ["FittedTheta", "Theta", "ThetaLines"]

_MIN_HISTORY = 240
# The level is run over so many steps; smoothing this slow hardly remembers more.
_CONTEXT = 360
_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 0.9)
_THETAS = (1.0, 1.25, 1.5, 2.0, 3.0)
# Lines through so many of the latest samples.
_REACHES = (30, 120, 360)


@dataclass(frozen=True, kw_only=True)
class ThetaLines:
    """Parameters.

    Attributes:
        alpha: Smoothing of the stretched series, in (0, 1].
        theta: How much the curvature is stretched, 1 or more; the line's share of the forecast is 1 - 1 / theta.
        reach: Samples that the line is drawn through, 2 or more.
    """

    alpha: float
    theta: float
    reach: int

    def weights(self, length: int) -> tuple[FloatArray, FloatArray]:
        """What the forecast is made of: after h steps level + h * trend, weighted sums of the last `length` samples.

        Both are of shape (length,), oldest first; `length` is no less than `reach`.
        """
        back = np.arange(length - 1, -1, -1)
        smoothing = self.alpha * (1 - self.alpha) ** back
        smoothing[0] = (1 - self.alpha) ** (length - 1)  # the first sample is the level that it starts from
        # least squares: the line is mean + slope * (t - middle), t = 0 at the last sample
        within = back < self.reach
        middle = -(self.reach - 1) / 2
        slope = np.where(within, (-back - middle) / (self.reach * (self.reach**2 - 1) / 12), 0.0)
        line = within / self.reach - middle * slope  # where it is at the last sample
        # smoothing the line itself gives where it is, less what the smoothing lags behind
        lag = float((smoothing * back).sum())
        stretched = self.theta * smoothing + (1 - self.theta) * (line - lag * slope)
        share = 1 / self.theta
        return share * stretched + (1 - share) * line, (1 - share) * slope


@stored_as("theta/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedTheta(PathForecaster):
    """Profiles and lines.

    Attributes:
        profiles: Of the square root of load, in units.
        lines: Parameters.
        level: Weights of the last samples.
        trend: The same.
    """

    profiles: tuple[Profile, ...]
    lines: ThetaLines
    level: NDArray[np.float64]
    trend: NDArray[np.float64]

    @property
    def context_length(self) -> int:
        """The samples that the level is run over."""
        return self.level.size

    def paths(self, windows: Windows, horizon: int) -> FloatArray:
        """Level, line and profile, squared."""
        course = np.arange(1, horizon + 1, dtype=np.float64)
        return level_and_trend(windows, self.profiles, self.level, self.trend, course)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theta:
    """The optimised theta method.

    Attributes:
        season_length: Steps in the season; None: found, several at once; 0: none.
        theta: How much curvature is stretched; None: what forecasts best; 2: the classic.
    """

    name: ClassVar[str] = "theta"
    season_length: int | None = None
    theta: float | None = None

    def __post_init__(self) -> None:
        checked_season_length(self.season_length, least=0)
        if self.theta is not None and not 1 <= self.theta <= 100:
            raise InvalidParameter(f"parameter 'theta' must lie between 1 and 100, not {self.theta:g}")

    def min_history(self, step: int) -> int:
        """Known samples needed: for the smoothing; seasons count as they come."""
        del step
        return _MIN_HISTORY

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedTheta:
        """Finds seasons, takes their profiles, chooses the parameters, calibrates."""
        del levels  # calibrated on a grid that serves all
        require(self.name, series, self.min_history(series.step))
        seasons = season_lengths(series, self.season_length)
        return fit_calibrated(lambda scaled: self._estimate(scaled, seasons, horizon), series, horizon=horizon)

    def _estimate(self, series: TimeSeries, seasons: tuple[int, ...], horizon: int) -> FittedTheta:
        profiles, left = deseasonalised(series, seasons)
        length = max(2, min(_CONTEXT, len(series) // 3))
        thetas = _THETAS if self.theta is None else (self.theta,)
        reaches = sorted({min(reach, length) for reach in _REACHES})
        candidates = [
            ThetaLines(alpha=alpha, theta=theta, reach=reach)
            for alpha, theta, reach in product(_ALPHAS, thetas, reaches)
            if theta > 1 or reach == reaches[0]  # without a share in the forecast one line is as good as another
        ]
        tables = [lines.weights(length) for lines in candidates]
        best = best_weights(
            self.name,
            left,
            np.stack([level for level, _ in tables], axis=1),
            np.stack([trend for _, trend in tables], axis=1),
            lambda ahead: np.full(len(candidates), float(ahead)),
            horizon,
        )
        level, trend = tables[best]
        return FittedTheta(step=series.step, profiles=profiles, lines=candidates[best], level=level, trend=trend)
