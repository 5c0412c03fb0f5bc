"""`auto`: which methods to use for this series, how to weigh them, and why.

The methods compete on the latest part of the history, which none of them was fitted to: from rolling origins, the
pinball losses of their values and peaks are summed over levels and horizons and compared with those of the last
value. The better a method did, the more it weighs in the mean of the logarithms of their quantiles; where
nothing beats the last value, the last value it is, and the explanation says so. Two methods that err differently
compete, `boosted` and `seasonal-profile`; `ets` and `arima` beside them gained nothing more and cost a fit each.

Sources: weights from relative losses as in Aiolfi and Timmermann, "Persistence in forecasting performance and
conditional combination strategies", Journal of Econometrics 135, 2006; averaging quantiles rather than
probabilities: Lichtendahl, Grushka-Cockayne and Winkler, "Is it better to average probabilities or quantiles?",
Management Science 59, 2013.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from forecasting.batch import ForecastBatch, predict_many
from forecasting.boosting import anchors, held_out_from
from forecasting.calibration import future, running_maximum
from forecasting.errors import FitFailed, InsufficientHistory, InvalidSeries
from forecasting.evaluation import pinball_loss
from forecasting.features.scalefree import FLOOR, Scale
from forecasting.fleet import PRETRAINED
from forecasting.forecast import checked_levels, rearranged
from forecasting.models.boosted import Boosted
from forecasting.models.naive import Naive
from forecasting.models.seasonal_profile import SeasonalProfile
from forecasting.serialise import dumps, loads, stored_as
from forecasting.series import FloatArray, TimeSeries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecasting.forecast import Forecast
    from forecasting.forecaster import FittedForecaster, Forecaster
    from forecasting.windows import IntArray

__all__ = ["Auto", "FittedAuto"]

# Levels and origins that the competition is judged at.
_LEVELS = (0.5, 0.9, 0.95)
_ORIGINS = 240
# A method weighs with its relative loss to this power, and not at all if it loses so much more than the best.
_SHARPNESS = 8.0
_TOO_WEAK = 1.15
# Loads in units are cut here, so that sums of losses stay finite.
_LARGEST = 1e100
# What must be gained on the last value for anything else to be served.
_WORTHWHILE = 0.02


@stored_as("auto/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedAuto:
    """A weighted mean of fitted methods.

    Attributes:
        step: Seconds between samples, of the series fitted.
        names: Of the members.
        members: The fitted members, as `forecasting.serialise.dumps` writes them.
        weights: Summing to 1; shape (members,).
        floor: Added to loads before logarithms are taken.
        reach: How many samples the members look back.
        explanation: Why these, in a sentence for people.
        unpredictable: Nothing beat the last value.
    """

    step: int
    names: tuple[str, ...]
    members: tuple[bytes, ...]
    weights: FloatArray
    floor: float
    reach: int
    explanation: str
    unpredictable: bool

    @property
    def context_length(self) -> int:
        """As far back as the members look."""
        return self.reach

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        """See `forecasting.forecaster.FittedForecaster.predict`."""
        seen = context.last(self.context_length)
        batch = self.predict_many(seen, np.array([len(seen) - 1]), horizon=horizon, levels=levels)
        if not batch.known[0]:
            raise InsufficientHistory("a forecast from the last 15 minutes", have=0, need=1)
        return batch.forecast(0)

    def predict_many(
        self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts from each of these positions; a member that has nothing to say is left out of its mean."""
        if series.step != self.step:
            raise InvalidSeries(
                f"the context's step is {series.step} s, but the forecaster was fitted on a step of {self.step} s"
            )
        batches = [
            predict_many(loads(member), series, origins, horizon=horizon, levels=levels) for member in self.members
        ]
        if len(batches) == 1:
            return batches[0]
        values, peak = (
            _log_mean([getattr(batch, name) for batch in batches], self.weights, self.floor)
            for name in ("values", "peak")
        )
        known = ~np.isnan(values[:, 0, 0])
        values[known], peak[known] = rearranged(values[known], peak[known])
        return replace(batches[0], levels=checked_levels(levels), values=values, peak=peak)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """Chooses and weighs the methods for each series.

    Attributes:
        fleet: The fleet model that `boosted` builds on; see `forecasting.models.boosted.Boosted`.
    """

    fleet: str = PRETRAINED

    name: ClassVar[str] = "auto"

    def min_history(self, step: int) -> int:
        """That of the last value: the ladder's first rung."""
        return Naive().min_history(step)

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedAuto:
        """Lets the methods compete on the latest part of the series, then fits those that will be used."""
        need = self.min_history(series.step)
        if series.known < need:
            raise InsufficientHistory(self.name, have=series.known, need=need)
        cut = held_out_from(series)
        naive = Naive().fit(series, horizon=horizon, levels=levels)
        contest = _Contest(series, cut, horizon)
        # `boosted` keeps the same part from its trees itself, so one fit serves the competition and the use
        fitted = _attempt(Boosted(fleet=self.fleet), series, horizon)
        losses = {"naive": 1.0}
        if fitted is not None:
            losses["boosted"] = contest.loss(fitted)
        profile = SeasonalProfile()
        candidate = _attempt(profile, series.first(cut), horizon)
        if candidate is not None:
            losses[profile.name] = contest.loss(candidate)
        weights = _weights(losses)
        members: dict[str, FittedForecaster] = {}
        for name in weights:
            member = {"naive": naive, "boosted": fitted}.get(name) or _attempt(profile, series, horizon)
            if member is not None:
                members[name] = member
        total = sum(weights[name] for name in members)
        days = (len(series) - cut) * series.step / 86400
        return FittedAuto(
            step=series.step,
            names=tuple(members),
            members=tuple(dumps(member) for member in members.values()),
            weights=np.array([weights[name] / total for name in members]),
            floor=FLOOR * Scale.of(series.values).unit,
            reach=max(member.context_length for member in members.values()),
            explanation=_explained({name: weights[name] / total for name in members}, losses, days),
            unpredictable=tuple(members) == ("naive",),
        )


class _Contest:
    """Rolling origins in the held-out part, and what the last value lost there."""

    def __init__(self, series: TimeSeries, cut: int, horizon: int) -> None:
        self._series = series
        last = max(cut + 1, len(series) - horizon)
        self._origins = np.unique(np.linspace(cut, last - 1, _ORIGINS).astype(np.int64))
        self._horizon = horizon
        self._unit = Scale.of(series.values).unit
        self._at = np.array(anchors(series.step, horizon)) - 1
        came = future(series.values, self._origins, horizon)
        self._came = np.stack([came, running_maximum(came)])[..., self._at]
        # the reference has no parameters besides its bands, so it is fitted like the others: before the cut
        reference = _attempt(Naive(), series.first(cut), horizon)
        self._reference = None if reference is None else self._losses(reference)

    def loss(self, fitted: FittedForecaster) -> float:
        """Pinball loss relative to the last value's: the mean over kinds, levels and horizons."""
        if self._reference is None:
            return 1.0
        mine = self._losses(fitted)
        known = (self._reference > 0) & np.isfinite(mine)
        return float(np.mean(mine[known] / self._reference[known])) if known.any() else 1.0

    def _losses(self, fitted: FittedForecaster) -> FloatArray:
        """Mean pinball losses; shape (2, levels, horizons)."""
        batch = predict_many(fitted, self._series, self._origins, horizon=self._horizon, levels=_LEVELS)
        level = np.array(_LEVELS)[None, None, :, None]
        with np.errstate(over="ignore", under="ignore"):
            found = np.minimum(np.stack([batch.values, batch.peak])[..., self._at] / self._unit, _LARGEST)
            came = np.minimum(self._came / self._unit, _LARGEST)
        losses = pinball_loss(came[:, :, None, :], found, level)
        known = ~np.isnan(losses)
        total = np.where(known, losses, 0.0).sum(axis=1)
        return np.asarray(total / np.maximum(known.sum(axis=1), 1))


def _attempt(method: Forecaster, series: TimeSeries, horizon: int) -> FittedForecaster | None:
    """The method fitted, or None if it cannot be: it is left out."""
    try:
        return method.fit(series, horizon=horizon, levels=_LEVELS)
    except (InsufficientHistory, FitFailed):
        return None


def _weights(losses: Mapping[str, float]) -> dict[str, float]:
    """Shares of the mean, by the losses relative to the last value's, which are the last value's alone if none won."""
    best = min(losses.values())
    if best > 1 - _WORTHWHILE:
        return {"naive": 1.0}
    kept = {name: loss for name, loss in losses.items() if name != "naive" and loss <= min(1.0, _TOO_WEAK * best)}
    raw = {
        name: (best / max(loss, 1e-9)) ** _SHARPNESS if best > 0 else float(loss == best) for name, loss in kept.items()
    }
    total = sum(raw.values())
    return {name: share / total for name, share in raw.items()}


def _log_mean(quantiles: Sequence[FloatArray], weights: FloatArray, floor: float) -> FloatArray:
    """Weighted mean of logarithms, of those that are known; NaN where none is."""
    total = np.zeros(quantiles[0].shape)
    share = np.zeros(quantiles[0].shape)
    for quantile, weight in zip(quantiles, weights, strict=True):
        known = ~np.isnan(quantile)
        total += np.where(known, weight * np.log(np.where(known, quantile, 0.0) + floor), 0.0)
        share += np.where(known, weight, 0.0)
    out = np.full(total.shape, np.nan)
    np.divide(total, share, out=out, where=share > 0)
    return np.asarray(np.minimum(np.maximum(np.exp(np.minimum(out, 709.0)) - floor, 0.0), np.finfo(np.float64).max / 2))


def _explained(weights: Mapping[str, float], losses: Mapping[str, float], days: float) -> str:
    def gain(name: str) -> str:
        percent = round(100 * (1 - losses[name]))
        return f"{name} {percent} % less" if percent >= 0 else f"{name} {-percent} % more"

    judged = ", ".join(gain(name) for name in sorted(losses, key=lambda name: losses[name]) if name != "naive")
    over = f"over the last {days:.1f} days"
    if "naive" in weights:
        found = f"against the last value's loss {over}: {judged}" if judged else "the history is too short for more"
        return f"unpredictable: serving observed load with headroom ({found})"
    shares = sorted(weights.items(), key=lambda item: -item[1])
    parts = " and ".join(f"{round(100 * share)} % {name}" for name, share in shares)
    return f"{parts}, by their losses {over} against the last value's: {judged}"
