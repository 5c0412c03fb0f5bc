"""A seasonal profile that follows the level: the strongest of the cheap methods.

The path is a linear function, one per horizon, of the profile's course from now to then, of how far the
series has strayed from its profile over the last minutes and hours, and of the same stretch one season ago: a
direct autoregression with seasonal covariates, fitted by ridge regression to square roots of the load.

Sources: direct multi-step forecasting, Marcellino, Stock and Watson, "A comparison of direct and iterated
multistep AR methods", Journal of Econometrics 135, 2006; lags averaged over growing windows, Corsi, "A simple
approximate long-memory model of realized volatility", Journal of Financial Econometrics 7, 2009; ridge: Hoerl and
Kennard, Technometrics 12, 1970. History: 240 known samples; two cycles before a season counts. Cost: a quarter
of a second to fit 10,080 points.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import FitFailed
from forecasting.paths import PathForecaster, fit_calibrated, require
from forecasting.prepare.calendar import Holidays, checked_zone, local_times
from forecasting.prepare.gaps import carried
from forecasting.prepare.outliers import masked
from forecasting.prepare.profile import Profile, fit_profiles, profiles_at
from forecasting.prepare.regions import checked_region
from forecasting.prepare.seasons import checked_season_length, season_lengths
from forecasting.quantiles import interpolated
from forecasting.serialise import stored_as
from forecasting.spread import RECENT
from forecasting.windows import Windows, thinned

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["FittedSeasonalProfile", "SeasonalProfile"]

_MIN_HISTORY = 240
# Deviations from the profile are averaged over so many seconds, or proportionally less where the longest would be more
# than so many steps: a grid of seconds is there for horizons of seconds, and every step of a span costs.
_SPANS = (300, 900, 3600, 14400)
_LONGEST_SPAN = 480
# The stretch a season ago is looked at if the season is not longer than this, in steps; smoothed over so many seconds,
# but over no more to each side than this share of the season, of which nothing would be left.
_MAX_LAG = 3000
_LAG_SMOOTHING = 600
_LAG_SMOOTHING_SHARE = 1 / 12
# Regressions use at most so many origins, and as many horizons: those between are interpolated.
_ORIGINS = 2000
_HORIZONS = 20
_RIDGE = 1e-3
# The place of the profile's course among regressors: behind 1, the last value's straying, means of it and of the load.
_COURSE = 2 + len(_SPANS) + 3
_WEEK = 604800
_Coefficients: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Design:
    """What the regressors are made of.

    Attributes:
        zone: Whose clocks the profiles follow.
        profiles: Of the square root of load, in units.
        lag: The season whose last cycle is looked at, in steps; 0 for none.
        spans: Steps that deviations are averaged over.
        smoothing: Steps that the last cycle is averaged over, to each side.
        holidays: On which weekly profiles rest.
    """

    zone: str
    profiles: tuple[Profile, ...]
    lag: int
    spans: tuple[int, ...]
    smoothing: int
    holidays: Holidays = field(default_factory=Holidays)

    @property
    def context_length(self) -> int:
        return max(self.spans[-1], self.lag + self.smoothing + 1)


def _usual(designs: Sequence[_Design], times: IntArray, step: int) -> FloatArray:
    """What the profiles say at these times, epoch seconds: of one design, or of one for each row; of their shape."""
    local, resting = np.empty_like(times), None
    if len({one.zone for one in designs}) == 1:
        local = local_times(times, designs[0].zone)
    else:
        for row, one in enumerate(designs):
            local[row] = local_times(times[row], one.zone)
    if any(one.holidays.days for one in designs):
        parts = local[None] if len(designs) == 1 else local
        moved = [one.holidays.moved(part) for one, part in zip(designs, parts, strict=True)]
        resting = (moved[0] if len(designs) == 1 else np.stack(moved)) // step
    return profiles_at([one.profiles for one in designs], local // step, resting)


@stored_as("seasonal-profile/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedSeasonalProfile(PathForecaster):
    """Profiles and one regression per horizon.

    Attributes:
        design: What the regressors are made of.
        horizons: Horizons with a regression of their own; shape (M,).
        coefficients: Shape (regressors, M).
    """

    design: _Design
    horizons: NDArray[np.int64]
    coefficients: _Coefficients

    @property
    def context_length(self) -> int:
        """The longest average, or the last cycle."""
        return self.design.context_length

    def paths(self, windows: Windows, horizon: int) -> FloatArray:
        """The regressions' answer, squared."""
        return self.paths_of((self,), windows, horizon)

    @property
    def shared(self) -> Hashable:
        """What forecasters must have in common for `predict_all`: what their regressors are, not of which seasons."""
        design = self.design
        made_of = bool(design.profiles), bool(design.lag), self.horizons.tobytes()
        # windows are as long as the longest: all must hold what roughness is measured on, or all the same
        return self.step, design.spans, min(self.context_length, RECENT + 1), *made_of

    @classmethod
    def paths_of(cls, fitted: Sequence[Self], windows: Windows, horizon: int) -> FloatArray:
        """The same of one forecaster for all windows, or of one for each."""
        steps = np.arange(1, horizon + 1)
        regressors = _regressors([one.design for one in fitted], windows, steps)
        root = np.repeat(np.sqrt(np.maximum(windows.last, 0.0))[:, None], horizon, axis=1)
        for values, coefficients in zip(regressors, _coefficients(fitted, steps), strict=True):
            root += values * coefficients
        return np.asarray(np.maximum(root, 0.0) ** 2)


def _coefficients(fitted: Sequence[FittedSeasonalProfile], steps: IntArray) -> FloatArray:
    """Those between two horizons with a regression of their own are interpolated; shape (regressors, fitted, H)."""
    horizons, known = fitted[0].horizons, np.stack([one.coefficients for one in fitted], axis=1)
    if steps.size <= horizons.size and horizons[steps.size - 1] == steps.size:
        return known[..., : steps.size]
    return interpolated(known, horizons.tolist(), steps.tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonalProfile:
    """Profile, level and autoregression.

    Attributes:
        season_length: Steps in the season; None: found, several at once.
        timezone: Whose clocks daily and weekly rhythms follow, e.g. Europe/Berlin.
        holidays: Whose public holidays are like Sundays: a country or a part of it, e.g. DE or DE-BY; empty: nobody's.
    """

    name: ClassVar[str] = "seasonal-profile"
    season_length: int | None = None
    timezone: str = "UTC"
    holidays: str = ""

    def __post_init__(self) -> None:
        checked_season_length(self.season_length, least=1)
        checked_zone(self.timezone)
        checked_region(self.holidays)

    def min_history(self, step: int) -> int:
        """Known samples needed: for the regressions; seasons count as they come."""
        del step
        return _MIN_HISTORY

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedSeasonalProfile:
        """Finds seasons, takes their profiles, regresses, calibrates."""
        del levels  # calibrated on a grid that serves all
        require(self.name, series, self.min_history(series.step))
        seasons = season_lengths(series, self.season_length)
        known = Holidays.around(self.holidays, series, zone=self.timezone)
        return fit_calibrated(
            lambda scaled: _estimate(scaled, seasons, horizon, self.timezone, known), series, horizon=horizon
        )


def _estimate(
    series: TimeSeries, seasons: tuple[int, ...], horizon: int, zone: str, holidays: Holidays
) -> FittedSeasonalProfile:
    clean = masked(series, seasons)
    root = np.sqrt(np.maximum(clean.values, 0.0))
    local = local_times(series.times(), zone)
    resting = holidays.moved(local) // series.step if holidays.days else None
    profiles, others = fit_profiles(
        root, local // series.step, seasons, resting=resting, week=0 if _WEEK % series.step else _WEEK // series.step
    )
    lag = next((p.length for p in profiles if p.length <= _MAX_LAG), 0)
    coarse = max(series.step, _SPANS[-1] / _LONGEST_SPAN)
    design = _Design(
        zone=zone,
        profiles=profiles,
        lag=lag,
        spans=tuple(max(1, int(span // coarse)) for span in _SPANS),
        smoothing=max(1, min(_LAG_SMOOTHING // series.step, int(lag * _LAG_SMOOTHING_SHARE))),
        holidays=holidays,
    )
    horizons = np.unique(np.geomspace(1, horizon, min(horizon, _HORIZONS)).round().astype(np.int64))
    at = np.arange(min(design.context_length, len(series) // 3), len(series) - 1)
    at = at[~np.isnan(clean.values[at])]
    at = thinned(at, _ORIGINS)
    if len(at) < 30:
        raise FitFailed("seasonal-profile: fewer than 30 origins have a known sample to regress from")
    padded = np.concatenate([root, np.full(horizon, np.nan)])
    windows = Windows.at(clean, at, design.context_length)
    later = series.end + series.step * np.arange(1, horizon + 1)
    usual = np.concatenate([others, _usual([design], later, series.step)])
    regressors = _regressors([design], windows, horizons, usual=usual, at=at)
    # what regressions find is how the course is not followed: a season ahead, where it says nothing, a coefficient of 0
    # would halve the course at the horizons between that and the next that have a regression
    usually = np.arange(len(regressors)) == (_COURSE if design.profiles else -1)
    coefficients = np.repeat(usually[:, None].astype(np.float64), len(horizons), axis=1)
    table = np.concatenate([one[:, :1] for one in regressors], axis=1)
    ramps = [(place, one) for place, one in enumerate(regressors) if one.shape[1] > 1]
    for column, ahead in enumerate(horizons):
        # a season ahead a course is what the other cycles' profile lacks of what came, and that would explain what came
        back = any(ahead % profile.length == 0 for profile in profiles)
        for place, ramp in ramps:
            table[:, place] = 0.0 if back else ramp[:, column]
        target = padded[at + ahead] - root[at]
        rows = ~np.isnan(target)
        if np.count_nonzero(rows) >= 30:
            coefficients[:, column] = usually + _ridge(table[rows], target[rows] - table[rows] @ usually)
        elif column:
            coefficients[:, column] = coefficients[:, column - 1]
    return FittedSeasonalProfile(step=series.step, design=design, horizons=horizons, coefficients=coefficients)


def _regressors(
    designs: Sequence[_Design],
    windows: Windows,
    horizons: IntArray,
    *,
    usual: FloatArray | None = None,
    at: IntArray | None = None,
) -> list[FloatArray]:
    """Each of shape (N, len(horizons)) or (N, 1).

    Args:
        designs: What they are made of: one for all windows or one for each, alike in what `shared` tells.
        windows: The recent past.
        horizons: Steps ahead.
        usual: In training, what the other cycles' profile says at each sample of the series.
        at: In training, the windows' positions in the series.
    """
    design, longest = designs[0], designs[0].spans[-1]
    recent = np.sqrt(np.maximum(windows.values[:, -longest:], 0.0))
    now = recent[:, -1:]
    out: list[FloatArray] = [np.ones_like(now)]
    if usual is None or at is None:
        then = windows.ends[:, None] + windows.step * np.concatenate([np.arange(1 - longest, 1), horizons])
        course = _usual(designs, then, windows.step)
        past, ahead = course[:, :longest], course[:, longest:]
    else:
        past = usual[np.maximum(at[:, None] + np.arange(1 - longest, 1), 0)]
        ahead = usual[at[:, None] + horizons]
    strayed = recent - past
    known = ~np.isnan(recent)  # what is usual is always known
    before, since = (_means(values, known, design.spans) for values in (recent, strayed))
    out.append(strayed[:, -1:])
    out += [mean - strayed[:, -1:] for mean in since]
    out += [mean - now for mean in before[:3]]
    if design.profiles:
        ramp = ahead - past[:, -1:]
        level = before[-1] / np.maximum(past.mean(axis=1, keepdims=True), 1e-6)
        out += [ramp, ramp * np.clip(level, 0.25, 4.0)]
    if design.lag:
        out.append(_last_cycle(designs, windows.values, horizons))
    return out


def _last_cycle(designs: Sequence[_Design], values: FloatArray, horizons: IntArray) -> FloatArray:
    """How the series went on one season ago: the smoothed course from then to `horizons` later."""
    lag, smoothing = np.array([(one.lag, one.smoothing) for one in designs]).T[..., None]
    width = np.minimum(lag, horizons[-1] + smoothing) + smoothing + 1  # nothing has come after the last column
    columns = np.arange(width.max())
    place = values.shape[1] - 1 - lag - smoothing + columns
    if len(designs) == 1:
        stretch = values[:, place[0]]
    else:
        stretch = np.take_along_axis(values, np.minimum(place, values.shape[1] - 1), axis=1)
        stretch = np.where(columns < width, stretch, np.nan)
    stretch = np.nan_to_num(np.sqrt(np.maximum(carried(stretch), 0.0)))
    sums = np.concatenate([np.zeros((len(stretch), 1)), np.cumsum(stretch, axis=1)], axis=1)
    low = np.concatenate([np.zeros_like(lag), (horizons - 1) % lag + 1], axis=1)
    high = np.minimum(low + 2 * smoothing + 1, width)
    rows = np.arange(len(sums))[:, None]
    smoothed = (sums[rows, high] - sums[rows, low]) / (high - low)
    return np.asarray(smoothed[:, 1:] - smoothed[:, :1])


def _means(values: FloatArray, known: NDArray[np.bool_], spans: tuple[int, ...]) -> list[FloatArray]:
    """Means of the known over the last columns; each of shape (N, 1). The last column is always known."""
    values = values if known.all() else np.where(known, values, 0.0)
    return [
        values[:, -span:].sum(axis=1, keepdims=True) / known[:, -span:].sum(axis=1, keepdims=True) for span in spans
    ]


def _ridge(design: FloatArray, target: FloatArray) -> FloatArray:
    scale = np.sqrt((design**2).mean(axis=0))
    scale[scale < 1e-9] = np.inf  # what never moves says nothing
    scaled = design / scale
    gram = scaled.T @ scaled + _RIDGE * len(target) * np.eye(design.shape[1])
    return np.asarray(np.linalg.solve(gram, scaled.T @ target) / scale)
