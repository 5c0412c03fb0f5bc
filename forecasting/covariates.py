"""Other series that tell of the load before it comes: a correction of any forecaster's forecasts by their lags.

A queue that fills, sign-ins, the load of the service in front: some series move minutes before the one that is scaled.
On each series it is learned from the past what its covariates said that the forecaster did not know: the forecaster is
fitted to the first two thirds, forecasts the rest, and a ridge regression explains the logs of what came over what it
forecast by the covariates' and the load's own latest samples, for each horizon directly (autoregression with
distributed lags; Hoerl and Kennard, "Ridge regression", Technometrics 12, 1970). Around the corrected median stand
split-conformal bands, from residuals of parts that the regression has not seen.

They earn it or are left out: what was forecast is cut in three, and what a regression of one part, with bands from
another, gains on the third says how much less the corrected forecasts lose. Where that is less than 3 %, the forecaster
stays as it is, and the explanation says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import predict_last, predict_many, require_step, vectorised
from forecasting.calibration import Bands, future, running_maximum
from forecasting.errors import FitFailed, InsufficientHistory
from forecasting.evaluation import pinball_loss
from forecasting.features.seen import FLOOR
from forecasting.forecast import checked_levels, rearranged
from forecasting.lags import Lags, Regression
from forecasting.serialise import dumps, stored_as
from forecasting.windows import scattered
from forecasting.wrapping import Wrapping, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.batch import ForecastBatch
    from forecasting.forecast import Forecast
    from forecasting.forecaster import FittedForecaster
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["FittedWithCovariates", "WithCovariates"]

# What must be gained on the forecaster alone.
_WORTHWHILE = 0.03
_LEVELS = (0.5, 0.9, 0.95)
_ORIGINS, _FEWEST = 900, 60
_DAY = 86400
# The forecaster must have this much to learn from, and the regression, its bands and the judge a third of it.
_SHORTEST, _LONGEST_JUDGED = 2 * _DAY, 5 * _DAY
# A corrected load may leave what the series ever showed by this factor.
_LEEWAY = 2.0
# A band is never narrower than this, in log-ratio.
_NARROWEST = 0.02


@stored_as("covariates/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedWithCovariates:
    """A fitted forecaster and what its covariates correct.

    Attributes:
        step: Seconds between samples, of the series fitted.
        base: The fitted forecaster, as `forecasting.serialise.dumps` writes it.
        lags: What the regression looks at.
        regression: From that to the log of what comes over what the forecaster expects; None: the covariates are left
            out, because they gained nothing.
        bands: Around the corrected median, in logs, on the scale of the forecaster's own band.
        ceiling: Highest load seen, in units.
        gain: By how much less the corrected forecasts lost, a share of the forecaster's loss.
        explanation: The forecaster's, and what the covariates are worth, in words.
    """

    step: int
    base: bytes
    lags: Lags
    regression: Regression | None
    bands: Bands
    ceiling: float
    gain: float
    explanation: str

    @property
    def context_length(self) -> int:
        """As far back as the forecaster and the regression look."""
        longest = wrapped(self.base).context_length
        return longest if self.regression is None else max(longest, self.lags.reach)

    @property
    def unpredictable(self) -> bool:
        """Whether nothing beat the last value: see `forecasting.premium`."""
        return self.regression is None and bool(getattr(wrapped(self.base), "unpredictable", False))

    @property
    def one_by_one(self) -> bool:
        """Whether the forecaster takes its time over each forecast; see `forecasting.batch.vectorised`."""
        return not vectorised(wrapped(self.base))

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        """See `forecasting.forecaster.FittedForecaster.predict`."""
        if self.regression is None or context.covariates is None:
            return wrapped(self.base).predict(context, horizon=horizon, levels=levels)
        seen = context.last(self.context_length)
        return predict_last(self, seen, horizon=horizon, levels=levels, purpose="a forecast")

    def predict_many(
        self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts from each of these positions; where a covariate is unknown, the forecaster's own."""
        levels = checked_levels(levels)
        require_step(series, self.step)
        asked = tuple(sorted({*levels, *_LEVELS}))
        batch = predict_many(wrapped(self.base), series, origins, horizon=horizon, levels=asked)
        rows = np.searchsorted(asked, levels)
        values, peak = batch.values[:, rows].copy(), batch.peak[:, rows].copy()
        if self.regression is not None and series.covariates is not None:
            x = self.lags.of(series, origins)
            some = np.flatnonzero(~np.isnan(x).any(axis=1) & batch.known)
            if some.size:
                shift = self.regression.predict(x[some], horizon)
                own = batch.values[some][:, np.searchsorted(asked, _LEVELS)]
                values[some], peak[some] = _corrected(own, shift, self.bands, levels, self.lags.unit, self.ceiling)
        return type(batch)(batch.origins, batch.step, levels, values, peak)


class WithCovariates(Wrapping):
    """A forecaster, corrected by the covariates of the series that it is fitted to."""

    __slots__ = ()

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedForecaster:
        """Fits the forecaster, and finds out whether its covariates are worth anything."""
        fitted = self.base.fit(series, horizon=horizon, levels=levels)
        if series.covariates is None:
            return fitted
        lags = Lags.of_series(series)
        try:
            found = self._learned(series, lags, horizon)
            why = f"left out, for they gained nothing: {_percent(found.gain)} over the last {found.days:.1f} days"
        except _TooLittleError as error:
            found, why = None, f"left out: {error}"
        used = found is not None and found.gain >= _WORTHWHILE
        if found is not None and used:
            why = f"{_percent(found.gain)} over the last {found.days:.1f} days"
        if lags.unknown and found is not None:
            numbers = " and ".join(str(number + 1) for number in lags.unknown)
            why += f" (too few samples of number {numbers} are known)"
        own = getattr(fitted, "explanation", "")
        return FittedWithCovariates(
            step=series.step,
            base=dumps(fitted),
            lags=lags,
            regression=found.regression if found is not None and used else None,
            bands=found.bands if found is not None and used else Bands.none(),
            ceiling=lags.highest(series),
            gain=found.gain if found is not None else 0.0,
            explanation=f"{own}; covariates {why}" if own else f"covariates {why}",
        )

    def _learned(self, series: TimeSeries, lags: Lags, horizon: int) -> _Learned:
        """The regression, its bands, and what they gained where neither had looked."""
        n = len(series)
        judged = min(n // 3, _LONGEST_JUDGED // series.step)
        if len(lags.unknown) == len(lags.units):
            raise _TooLittleError("too many of their samples are missing")
        if series.known * series.step < _SHORTEST:
            raise _TooLittleError("the history is shorter than the two days that it takes to tell")
        before = series.first(n - judged)
        try:
            earlier = self.base.fit(before, horizon=horizon, levels=_LEVELS)
        except (InsufficientHistory, FitFailed) as error:
            raise _TooLittleError(f"two thirds of the history are too short for {self.name}") from error
        origins = n - judged + scattered(_ORIGINS, judged - 1)
        part = _Part.of(series, origins, earlier, lags, horizon)
        if len(part) < len(origins) / 2:
            raise _TooLittleError("too many of their samples are missing")
        if len(part) < max(_FEWEST, 3 * part.x.shape[1]):
            raise _TooLittleError(f"the history is too short, it leaves {len(part)} forecasts to judge by")
        ceiling = lags.highest(series)
        third = len(part) // 3
        first, second, last = part.at(0, third), part.at(third, 2 * third), part.at(2 * third, None)
        trial, gain = _tried(first, second, last, lags.unit, ceiling)
        gain = (gain + _tried(last, second, first, lags.unit, ceiling)[1]) / 2
        # for use, all of it, with bands of residuals that each half's regression has left in the other
        halves = part.at(0, len(part) // 2), part.at(len(part) // 2, None)
        crossed = [one.shifted(trial.refitted(other.x, other.residuals()), horizon) for one, other in zip(
            halves, halves[::-1], strict=True
        )]  # fmt: skip
        bands = part.bands_around(np.concatenate(crossed))
        days = 2 / 3 * judged * series.step / _DAY
        return _Learned(trial.refitted(part.x, part.residuals()), bands, gain, days)


def _tried(learned: _Part, calibrated: _Part, judged: _Part, unit: float, ceiling: float) -> tuple[Regression, float]:
    """A regression of one part, with a penalty and bands from another, and what it gains on a third."""
    horizon = judged.came.shape[1]
    trial = Regression.fit(learned.x, learned.residuals(), calibrated.x, calibrated.residuals())
    bands = calibrated.bands(trial, horizon)
    return trial, judged.gain(trial.predict(judged.x, horizon), bands, unit, ceiling)


class _TooLittleError(Exception):
    """What there is too little of to tell, in words."""


@dataclass(frozen=True, slots=True, eq=False)
class _Learned:
    regression: Regression
    bands: Bands
    gain: float
    days: float


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Origins whose covariates and outcomes are known, in the order of time.

    Attributes:
        x: What the regression looks at; shape (N, F).
        own: The forecaster's quantiles at _LEVELS in units; shape (N, L, H).
        peak: Those of its peaks; shape (N, L, H).
        came: Loads that came, in units; shape (N, H).
    """

    x: FloatArray
    own: FloatArray
    peak: FloatArray
    came: FloatArray

    @classmethod
    def of(cls, series: TimeSeries, origins: IntArray, fitted: FittedForecaster, lags: Lags, horizon: int) -> _Part:
        batch = predict_many(fitted, series, origins, horizon=horizon, levels=_LEVELS)
        x, came = lags.of(series, origins), future(series.values, origins, horizon)
        known = ~np.isnan(x).any(axis=1) & ~np.isnan(came).any(axis=1) & batch.known
        unit = lags.unit
        return cls(x[known], batch.values[known] / unit, batch.peak[known] / unit, np.maximum(came[known] / unit, 0.0))

    def __len__(self) -> int:
        return len(self.x)

    def at(self, first: int, end: int | None) -> _Part:
        some = slice(first, end)
        return _Part(self.x[some], self.own[some], self.peak[some], self.came[some])

    def residuals(self) -> FloatArray:
        """Logs of what came over what was expected; shape (N, H)."""
        return np.log(self.came + FLOOR) - _median(self.own)

    def shifted(self, regression: Regression, horizon: int) -> FloatArray:
        """The corrected path, in logs; shape (N, H)."""
        return _median(self.own) + regression.predict(self.x, horizon)

    def bands(self, regression: Regression, horizon: int) -> Bands:
        return self.bands_around(self.shifted(regression, horizon))

    def bands_around(self, paths: FloatArray) -> Bands:
        return Bands.of(np.log(self.came + FLOOR), paths, _width(self.own))

    def gain(self, shift: FloatArray, bands: Bands, unit: float, ceiling: float) -> float:
        """How much less the corrected quantiles lost, mean over values, peaks and horizons."""
        corrected = (q / unit for q in _corrected(self.own * unit, shift, bands, _LEVELS, unit, ceiling))
        ratios = []
        for came, own, new in zip(
            (self.came, running_maximum(self.came)), (self.own, self.peak), corrected, strict=True
        ):
            level = np.array(_LEVELS)[None, :, None]
            before, after = (pinball_loss(came[:, None], q, level).mean(axis=(0, 1)) for q in (own, new))
            ratios.append(after[before > 0] / before[before > 0])
        together = np.concatenate(ratios)
        return 1.0 - float(together.mean()) if together.size else 0.0


def _median(own: FloatArray) -> FloatArray:
    return np.asarray(np.log(own[:, 0] + FLOOR))


def _width(own: FloatArray) -> FloatArray:
    """How wide the forecaster's band is half-way to the horizon, in log-ratio; shape (N,)."""
    middle = own[:, :, own.shape[2] // 2]
    return np.asarray(np.log((middle[:, 2] + FLOOR) / (middle[:, 0] + FLOOR)) + _NARROWEST)


def _corrected(
    own: FloatArray, shift: FloatArray, bands: Bands, levels: tuple[float, ...], unit: float, ceiling: float
) -> tuple[FloatArray, FloatArray]:
    """Quantiles of values and peaks around the corrected median; each (N, L, H).

    Args:
        own: The forecaster's at _LEVELS; shape (N, len(_LEVELS), H).
        shift: The correction of its median's log; shape (N, H).
        bands: Around that.
        levels: Wanted.
        unit: Loads are divided by it.
        ceiling: Highest load seen, in units.
    """
    own = own / unit
    found = bands.apply(_median(own) + shift, levels, _width(own))
    highest = np.maximum(_LEEWAY * ceiling, own[:, -1:].max(axis=2, keepdims=True))
    loads = (np.minimum(np.exp(np.minimum(q, 700.0)) - FLOOR, highest) * unit for q in found)
    return rearranged(*loads)


def _percent(gain: float) -> str:
    percent = round(100 * gain)
    return f"{percent} % less loss" if percent >= 0 else f"{-percent} % more loss"
