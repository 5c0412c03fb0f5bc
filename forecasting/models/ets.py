"""Exponential smoothing with damped trend and seasons: the Holt-Winters family.

Square roots of load (a Box-Cox transform: errors grow with the level) less a seasonal profile are smoothed with a
level and a damped trend. A season of 1,440 states, as the textbook has it, takes minutes to fit and is noise
for the most part; the profile takes its place, with recent cycles weighing more as its smoothing would have it.

Sources: Gardner, "Exponential smoothing: the state of the art II", International Journal of Forecasting 22, 2006;
Hyndman, Koehler, Ord and Snyder, "Forecasting with exponential smoothing", 2008, for the error-correction form. The
smoothing parameters are those of a grid that forecast best over several horizons in training, which serves
forecasts at these horizons better than likelihood, a one-step criterion. History: 240 known samples; two
cycles before a season counts. Cost: a quarter of a second to fit 10,080 points, about a second with
estimator=exact, which takes the parameters of maximum likelihood instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from forecasting.deseasonalised import best_weights, deseasonalised, level_and_trend
from forecasting.errors import InvalidParameter
from forecasting.likelihood import smoothing_by_likelihood
from forecasting.paths import PathForecaster, fit_calibrated, require
from forecasting.prepare.gaps import carried
from forecasting.prepare.profile import Profile
from forecasting.prepare.seasons import checked_season_length, season_lengths
from forecasting.serialise import stored_as

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray, Windows

__all__ = ["Ets", "FittedEts", "Smoothing"]

_MIN_HISTORY = 240
# The states are run over so many steps; smoothing this slow hardly remembers more.
_CONTEXT = 360
_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 0.9)
_BETAS = (0.03, 0.2)  # shares of alpha
_PHIS = (0.8, 0.95)


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """Parameters in error-correction form: the level moves by alpha x error, the trend by beta x error.

    Attributes:
        alpha: In (0, 1].
        beta: In [0, alpha]; 0: no trend.
        phi: Damping of the trend, in (0, 1).
    """

    alpha: float
    beta: float
    phi: float

    def weights(self, length: int) -> tuple[FloatArray, FloatArray]:
        """What level and trend are made of: both are weighted sums of the last `length` samples, oldest first.

        The first sample is the level that smoothing starts from, with no trend.
        """
        levels, trends = _weights((self,), length)
        return levels[:, 0].copy(), trends[:, 0].copy()

    def course(self, horizons: IntArray) -> FloatArray:
        """How much of the trend is added by each horizon; shape (len(horizons),)."""
        return np.asarray(self.phi * (1 - self.phi**horizons) / (1 - self.phi))


@stored_as("ets/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedEts(PathForecaster):
    """Profiles and smoothing parameters.

    Attributes:
        profiles: Of the square root of load, in units.
        smoothing: Parameters.
        level: Weights that make the level of the last samples.
        trend: Weights that make the trend of them.
    """

    profiles: tuple[Profile, ...]
    smoothing: Smoothing
    level: NDArray[np.float64]
    trend: NDArray[np.float64]

    @property
    def context_length(self) -> int:
        """The samples that the states are run over."""
        return self.level.size

    def paths(self, windows: Windows, horizon: int) -> FloatArray:
        """Level, damped trend and profile, squared."""
        course = self.smoothing.course(np.arange(1, horizon + 1))
        return level_and_trend(windows, self.profiles, self.level, self.trend, course)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ets:
    """Exponential smoothing.

    Attributes:
        season_length: Steps in the season; None: found, several at once; 0: none.
        trend: Whether a trend may be used where it forecasts better.
        estimator: Parameters are the best of a grid over several horizons (fast) or statsmodels' maximum
            likelihood one step ahead (exact).
    """

    name: ClassVar[str] = "ets"
    season_length: int | None = None
    trend: bool = True
    estimator: Literal["fast", "exact"] = "fast"

    def __post_init__(self) -> None:
        checked_season_length(self.season_length, least=0)
        if self.estimator not in ("fast", "exact"):
            raise InvalidParameter(f"parameter 'estimator' must be fast or exact, not {self.estimator!r}")

    def min_history(self, step: int) -> int:
        """Known samples needed: for the smoothing; seasons count as they come."""
        del step
        return _MIN_HISTORY

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedEts:
        """Finds seasons, takes their profiles, chooses the parameters, calibrates."""
        del levels  # calibrated on a grid that serves all
        require(self.name, series, self.min_history(series.step))
        seasons = season_lengths(series, self.season_length)
        return fit_calibrated(lambda scaled: self._estimate(scaled, seasons, horizon), series, horizon=horizon)

    def _estimate(self, series: TimeSeries, seasons: tuple[int, ...], horizon: int) -> FittedEts:
        profiles, left = deseasonalised(series, seasons)
        length = min(_CONTEXT, len(series) // 3)
        if self.estimator == "exact":
            alpha, beta, phi = smoothing_by_likelihood(carried(left), trend=self.trend)
            smoothing = Smoothing(alpha=alpha, beta=beta, phi=phi)
        else:
            candidates = tuple(_grid(trend=self.trend))
            best = best_weights(
                self.name,
                left,
                *_weights(candidates, length),
                lambda ahead: np.array([float(s.course(np.array([ahead]))[0]) for s in candidates]),
                horizon,
            )
            smoothing = candidates[best]
        level, trend = smoothing.weights(length)
        return FittedEts(step=series.step, profiles=profiles, smoothing=smoothing, level=level, trend=trend)


def _grid(*, trend: bool) -> Iterator[Smoothing]:
    for alpha in _ALPHAS:
        yield Smoothing(alpha=alpha, beta=0.0, phi=0.5)
        if trend:
            for beta in _BETAS:
                for phi in _PHIS:
                    yield Smoothing(alpha=alpha, beta=beta * alpha, phi=phi)


def _weights(candidates: Sequence[Smoothing], length: int) -> tuple[FloatArray, FloatArray]:
    """`Smoothing.weights` of all of these at once: of the level and of the trend; shape (length, K) each."""
    alpha, beta, phi = (np.array([getattr(s, name) for s in candidates]) for name in ("alpha", "beta", "phi"))
    # a state is last's, moved on, plus what the new sample adds: states are sums of powers of this matrix
    on = np.array([[1 - alpha, phi * (1 - alpha)], [-beta, phi * (1 - beta)]])
    levels, trends = np.empty((length, len(candidates))), np.empty((length, len(candidates)))
    level, trend = alpha, beta
    # the first sample is a state of its own: the level, and no trend
    first, second = np.ones(len(candidates)), np.zeros(len(candidates))
    for row in range(length - 1, 0, -1):
        levels[row], trends[row] = level, trend
        level, trend = on[0, 0] * level + on[0, 1] * trend, on[1, 0] * level + on[1, 1] * trend
        first, second = on[0, 0] * first + on[0, 1] * second, on[1, 0] * first + on[1, 1] * second
    levels[0], trends[0] = first, second
    return levels, trends
