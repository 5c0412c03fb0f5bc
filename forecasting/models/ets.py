"""Exponential smoothing with damped trend and seasons: the Holt-Winters family.

Square roots of load (a Box-Cox transform: errors grow with the level) less a seasonal profile are smoothed with a
level and a damped trend. A season of 1,440 states, as the textbook has it, takes minutes to fit and is noise
for the most part; the profile takes its place, with recent cycles weighing more as its smoothing would have it.

Sources: Gardner, "Exponential smoothing: the state of the art II", International Journal of Forecasting 22, 2006;
Hyndman, Koehler, Ord and Snyder, "Forecasting with exponential smoothing", 2008, for the error-correction form. The
smoothing parameters are those of a grid that forecast best over several horizons in training, which serves
forecasts at these horizons better than likelihood, a one-step criterion. History: 240 known samples; two
cycles before a season counts. Cost: a fifth of a second to fit 10,080 points, about a second with
estimator=exact, which takes the parameters of maximum likelihood instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import FitFailed, InvalidParameter
from forecasting.likelihood import smoothing_by_likelihood
from forecasting.paths import PathForecaster, fit_calibrated, require
from forecasting.prepare.gaps import carried
from forecasting.prepare.outliers import masked
from forecasting.prepare.profile import Profile, fit_profiles, profile_at
from forecasting.prepare.seasons import find_seasons
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
_ORIGINS = 1500


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
        steps = windows.ends[:, None] // windows.step
        strayed = _strayed(windows, self.profiles)
        level = (strayed * self.level).sum(axis=1, keepdims=True)
        trend = (strayed * self.trend).sum(axis=1, keepdims=True)
        ahead = np.arange(1, horizon + 1)
        root = level + trend * self.smoothing.course(ahead) + profile_at(self.profiles, steps + ahead)
        return np.asarray(np.maximum(root, 0.0) ** 2)


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
        if self.season_length is not None and self.season_length < 0:
            raise InvalidParameter(f"parameter 'season_length' must be 0 steps or more, not {self.season_length}")
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
        if self.season_length is None:
            seasons = tuple(season.length for season in find_seasons(series))
        else:
            seasons = (self.season_length,) if self.season_length else ()
        return fit_calibrated(lambda scaled: self._estimate(scaled, seasons, horizon), series, horizon=horizon)

    def _estimate(self, series: TimeSeries, seasons: tuple[int, ...], horizon: int) -> FittedEts:
        clean = masked(series, seasons)
        root = np.sqrt(np.maximum(clean.values, 0.0))
        profiles, others = fit_profiles(root, series.times() // series.step, seasons)
        left = root - others
        length = min(_CONTEXT, len(series) // 3)
        if self.estimator == "exact":
            alpha, beta, phi = smoothing_by_likelihood(carried(left), trend=self.trend)
            smoothing = Smoothing(alpha=alpha, beta=beta, phi=phi)
        else:
            smoothing = _best(tuple(_grid(trend=self.trend)), left, length, horizon)
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


def _best(candidates: tuple[Smoothing, ...], left: FloatArray, length: int, horizon: int) -> Smoothing:
    """The candidate that forecasts best over several horizons.

    Args:
        candidates: K of them.
        left: What seasons leave over, missing ones NaN; shape (n,).
        length: Samples that the states are run over.
        horizon: Of the horizons up to this one, a few count.
    """
    strayed = carried(left)
    at = np.arange(length - 1, len(left) - 1)
    at = at[~np.isnan(left[at])]
    at = at[:: max(1, len(at) // _ORIGINS)]
    if len(at) < 30:
        raise FitFailed("ets: fewer than 30 origins have a known sample to smooth up to")
    past = np.lib.stride_tricks.sliding_window_view(strayed, length)[at - length + 1]
    weights = _weights(candidates, length)
    levels, trends = (past @ each for each in weights)
    padded = np.concatenate([left, np.full(horizon, np.nan)])
    loss = np.zeros(len(candidates))
    for ahead in np.unique([1, max(1, horizon // 4), max(1, horizon // 2), horizon]):
        came = padded[at + ahead]
        known = ~np.isnan(came)
        if np.count_nonzero(known):
            course = np.array([float(s.course(np.array([ahead]))[0]) for s in candidates])
            miss = np.abs(came[known, None] - levels[known] - trends[known] * course).mean(axis=0)
            # each horizon counts alike: in shares of what the best candidate misses there
            loss += miss / max(float(miss.min()), 1e-12)
    return candidates[int(np.argmin(loss))]


def _strayed(windows: Windows, profiles: tuple[Profile, ...]) -> FloatArray:
    """How far each window lies from its profile, gaps carried; shape (N, C)."""
    steps = windows.ends[:, None] // windows.step + np.arange(1 - windows.length, 1)
    return carried(np.sqrt(np.maximum(windows.values, 0.0)) - profile_at(profiles, steps))
