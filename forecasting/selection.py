"""`auto`: which methods to use for this series, how to weigh them, and why.

The methods compete on the latest part of the history, which none of them was fitted to: from rolling origins, the
pinball losses of their values and peaks are summed over levels and horizons and compared with those of the last
value. The better a method did, the more it weighs in the mean of the logarithms of their quantiles; where
nothing beats the last value, it has the more of the say the more `boosted` lost, and the explanation says so. Values
and peaks, near and far, are weighed apart. Below two days of history there is nothing to compete on: shares are those
that served other series best on their first days; of a few hours it is the last value, or `seasonal-profile` where that
is far ahead of it: samples of a second can show a rhythm of minutes by then. Two methods that err differently compete,
`boosted` and `seasonal-profile`; `ets`, `arima` and `theta` beside them gained nothing more and cost a fit each. On the
first days `lstm` is weighed in, too.

Sources: weights from relative losses as in Aiolfi and Timmermann, "Persistence in forecasting performance and
conditional combination strategies", Journal of Econometrics 135, 2006; averaging quantiles rather than
probabilities: Lichtendahl, Grushka-Cockayne and Winkler, "Is it better to average probabilities or quantiles?",
Management Science 59, 2013.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from forecasting.batch import ForecastBatch, predict_last, predict_many, require_step
from forecasting.boosting import held_out_from, long_enough
from forecasting.contest import LEVELS, Contest, attempt
from forecasting.errors import InsufficientHistory
from forecasting.features.scalefree import Scale
from forecasting.features.seen import FLOOR
from forecasting.fleet import PRETRAINED
from forecasting.forecast import rearranged
from forecasting.models.boosted import Boosted
from forecasting.models.lstm import Lstm
from forecasting.models.naive import Naive
from forecasting.models.seasonal_profile import FittedSeasonalProfile, SeasonalProfile
from forecasting.prepare.calendar import Holidays, checked_zone, local_times
from forecasting.prepare.idle import idle_below
from forecasting.prepare.regions import checked_region
from forecasting.quantiles import between
from forecasting.reasons import reason_for
from forecasting.serialise import dumps, loads, stored_as
from forecasting.series import FloatArray, TimeSeries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecasting.forecast import Forecast
    from forecasting.forecaster import FittedForecaster
    from forecasting.windows import IntArray

__all__ = ["Auto", "FittedAuto"]

# What a method weighs before anything is known of the series, and to which power its relative loss counts then.
_PRIOR = {"boosted": 0.6, "seasonal-profile": 0.4}
_SHARPNESS = 6.0
# Below two days of history there is little to tell by: methods weigh what served best, on average, on the first days of
# other series, in values and in peaks, and from a day on their losses on its last third count to so low a power. To the
# sixth, or without the shares to begin with, they made the next day's forecasts worse.
_YOUNG = {"boosted": (0.4, 0.5), "lstm": (0.4, 0.3), "seasonal-profile": (0.1, 0.1), "naive": (0.1, 0.1)}
_CAUTION = 3.0
# What `seasonal-profile` weighs on holidays, whatever it weighed on the days that methods were compared on.
_OF_HOLIDAYS = 0.8
# What must be gained on the last value for anything else to be served.
_WORTHWHILE = 0.02
# The same for a profile of a few hours.
_FAR_AHEAD = 0.25
# Where nothing beats the last value, that has so much of the say, if `boosted` lost so much more than it on the days
# that methods were compared on, and in proportion less if less: on random walks and steps `boosted` alone loses 1 to
# 16 % more, but a load that was idle for those days looks just as hopeless.
_SAY, _FAR_BEHIND = 0.7, 0.02


@stored_as("auto/2")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedAuto:
    """A weighted mean of fitted methods.

    Attributes:
        step: Seconds between samples, of the series fitted.
        names: Of the members.
        members: The fitted members, as `forecasting.serialise.dumps` writes them.
        horizons: Steps ahead that weights were found for; those between are interpolated.
        weights: Of values and of peaks, summing to 1 over the members; shape (members, 2, horizons).
        floor: Added to loads before logarithms are taken.
        reach: How many samples the members look back.
        explanation: Why these, in a sentence for people.
        unpredictable: Nothing beat the last value: not worth much of a premium, see `forecasting.premium`.
        zone: Whose clocks the load follows.
        holidays: Days that `seasonal-profile` knows more of than the others: it learned how the load rests.
        idle: Means of forecasts below it are 0; see `forecasting.prepare.idle`.
    """

    step: int
    names: tuple[str, ...]
    members: tuple[bytes, ...]
    horizons: tuple[int, ...]
    weights: FloatArray
    floor: float
    reach: int
    explanation: str
    unpredictable: bool
    zone: str = "UTC"
    holidays: Holidays = field(default_factory=Holidays)
    idle: float = 0.0

    @property
    def context_length(self) -> int:
        """As far back as the members look."""
        return self.reach

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        """See `forecasting.forecaster.FittedForecaster.predict`."""
        seen = context.last(self.context_length)
        return predict_last(self, seen, horizon=horizon, levels=levels, purpose="a forecast from the last 15 minutes")

    def predict_many(
        self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts from each of these positions; a member that has nothing to say is left out of its mean."""
        require_step(series, self.step)
        batches = [predict_many(part, series, origins, horizon=horizon, levels=levels) for part in self.parts]
        return self.wholes([self], batches)

    @property
    def parts(self) -> tuple[FittedForecaster, ...]:
        """The members; see `forecasting.together.MadeOfParts`."""
        return tuple(_loaded(member) for member in self.members)

    @classmethod
    def wholes(cls, fitted: Sequence[Self], batches: Sequence[ForecastBatch]) -> ForecastBatch:
        """Means of members' forecasts, of one forecaster or of one for each; see `forecasting.together.MadeOfParts`."""
        first = batches[0]
        if len(batches) == 1:
            return first
        rows = [slice(None)] if len(fitted) == 1 else [slice(row, row + 1) for row in range(len(fitted))]
        weights = np.concatenate(
            [_weights_ahead(one, first.origins[row], first) for one, row in zip(fitted, rows, strict=True)], axis=2
        )
        floors, idle = (np.array([getattr(one, name) for one in fitted])[:, None, None] for name in ("floor", "idle"))
        values, peak = (
            _log_mean([getattr(batch, name) for batch in batches], weights[:, kind], floors, idle)
            for kind, name in enumerate(("values", "peak"))
        )
        known = ~np.isnan(values[:, 0, 0])
        if known.all():
            values, peak = rearranged(values, peak)
        else:
            values[known], peak[known] = rearranged(values[known], peak[known])
        return replace(first, values=values, peak=peak)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """Chooses and weighs the methods for each series.

    Attributes:
        fleet: The fleet model that `boosted` builds on; see `forecasting.models.boosted.Boosted`.
        network: The weights of `lstm`; see `forecasting.models.lstm.Lstm`.
        timezone: Whose clocks daily and weekly rhythms follow, e.g. Europe/Berlin.
        holidays: Whose public holidays are like Sundays: a country or a part of it, e.g. DE or DE-BY; empty: nobody's.
    """

    fleet: str = PRETRAINED
    network: str = PRETRAINED
    timezone: str = "UTC"
    holidays: str = ""

    name: ClassVar[str] = "auto"

    def __post_init__(self) -> None:
        checked_zone(self.timezone)
        checked_region(self.holidays)

    def min_history(self, step: int) -> int:
        """That of the last value: the ladder's first rung."""
        return Naive().min_history(step)

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedAuto:
        """Lets the methods compete on the latest part of the series, then fits those that will be used."""
        need = self.min_history(series.step)
        if series.known < need:
            raise InsufficientHistory(self.name, have=series.known, need=need)
        if not long_enough(series):
            return self._young(series, horizon)
        cut = held_out_from(series)
        contest = Contest(series, cut, horizon)
        # `boosted` keeps the same part from its trees itself, so one fit serves the competition and the use
        fitted = attempt(self._boosted(), series, horizon)
        losses: dict[str, FloatArray] = {}
        if fitted is not None:
            losses["boosted"] = contest.loss(fitted)
        profile = self._profile()
        candidate = attempt(profile, series.first(cut), horizon)
        if candidate is not None:
            losses[profile.name] = contest.loss(candidate)
        members: dict[str, FittedForecaster] = {}
        for name in _used(losses):
            if name == "naive":
                members[name] = Naive().fit(series, horizon=horizon, levels=levels)
                continue
            member = fitted if name == "boosted" else attempt(profile, series, horizon)
            if member is not None:
                members[name] = member
        if not members:  # the one that was worth it could be fitted to the first part only
            members, losses = {Naive.name: Naive().fit(series, horizon=horizon, levels=levels)}, {}
        weights = _weights(tuple(members), losses, len(contest.horizons))
        shares = dict(zip(members, weights.mean(axis=(1, 2)), strict=True))
        days = (len(series) - cut) * series.step / 86400
        said = _explained(shares, losses, days, members.get(profile.name) or candidate, series)
        return replace(
            _mean_of(members, weights, series, contest.horizons, explanation=said),
            unpredictable=not _any_won(losses),
        )

    def _boosted(self) -> Boosted:
        return Boosted(fleet=self.fleet, timezone=self.timezone, holidays=self.holidays)

    def _profile(self) -> SeasonalProfile:
        return SeasonalProfile(timezone=self.timezone, holidays=self.holidays)

    def _young(self, series: TimeSeries, horizon: int) -> FittedAuto:
        """What can be fitted, weighed as served other series best, and by what it lost on the last third of a day."""
        methods = {
            method.name: method for method in (self._boosted(), Lstm(weights=self.network), self._profile(), Naive())
        }
        found = {name: attempt(method, series, horizon) for name, method in methods.items()}
        members = {name: member for name, member in found.items() if member is not None}
        if "boosted" not in members:
            return self._brief(series, horizon)
        losses: dict[str, FloatArray] = {}
        cut = len(series) - len(series) // 3
        if series.known >= 86400 / series.step:
            losses = Contest(series, cut, horizon).losses({name: methods[name] for name in members})
        weights = np.array([_YOUNG[name] for name in members])[:, :, None]
        won = _any_won(losses)
        for row, name in enumerate(members):
            if won and name in losses:
                weights[row] *= losses[name].mean(axis=1, keepdims=True) ** -_CAUTION
        weights = weights / weights.sum(axis=0)
        shares = dict(zip(members, weights.mean(axis=(1, 2)).tolist(), strict=True))
        losses.pop(Naive.name, None)
        days = (len(series) - cut) * series.step / 86400
        said = _explained(shares, losses, days, members.get(SeasonalProfile.name), series, young=True)
        return _mean_of(members, weights, series, (1,), explanation=said)

    def _brief(self, series: TimeSeries, horizon: int) -> FittedAuto:
        """Of a few hours: the last value, unless the seasonal profile is far ahead of it on the latest third.

        A few hours show nothing of a day, and a profile of them is no help. But a rhythm of minutes has had many cycles
        by then, if samples are fine enough to show it.
        """
        cut = len(series) - len(series) // 3
        contest = Contest(series, cut, horizon)
        profile = self._profile()
        losses: dict[str, FloatArray] = {}
        candidate = attempt(profile, series.first(cut), horizon)
        if candidate is not None and (loss := contest.loss(candidate)).mean() <= 1 - _FAR_AHEAD:
            candidate = attempt(profile, series, horizon)
            losses = {} if candidate is None else {profile.name: loss}
        if candidate is None or not losses:
            members: dict[str, FittedForecaster] = {"naive": Naive().fit(series, horizon=horizon, levels=LEVELS)}
        else:
            members = {profile.name: candidate}
        weights = np.ones((1, 2, len(contest.horizons)))
        days = (len(series) - cut) * series.step / 86400
        said = _explained(dict.fromkeys(members, 1.0), losses, days, candidate, series)
        return _mean_of(members, weights, series, contest.horizons, explanation=said)


def _mean_of(
    members: Mapping[str, FittedForecaster],
    weights: FloatArray,
    series: TimeSeries,
    horizons: tuple[int, ...],
    *,
    explanation: str,
) -> FittedAuto:
    profile, zone, holidays = members.get(SeasonalProfile.name), "UTC", Holidays()
    if isinstance(profile, FittedSeasonalProfile) and any(one.weekly for one in profile.design.profiles):
        zone, holidays = profile.design.zone, profile.design.holidays
    floor = max(FLOOR * Scale.of(series.values).unit, np.finfo(np.float64).tiny)  # of the smallest loads it would be 0
    return FittedAuto(
        step=series.step,
        names=tuple(members),
        members=tuple(dumps(member) for member in members.values()),
        horizons=horizons,
        weights=weights,
        floor=floor,
        reach=max(member.context_length for member in members.values()),
        explanation=explanation,
        unpredictable=tuple(members) == ("naive",),
        zone=zone,
        holidays=holidays,
        idle=idle_below(series.values, floor / 2),
    )


@lru_cache(maxsize=64)
def _loaded(member: bytes) -> FittedForecaster:
    """A stored member; those asked lately are at hand, and no more: a fleet's would double what its models take."""
    return loads(member)


def _any_won(losses: Mapping[str, FloatArray]) -> bool:
    return any(loss.mean() <= 1 - _WORTHWHILE for loss in losses.values())


def _used(losses: Mapping[str, FloatArray]) -> tuple[str, ...]:
    """The methods in the mean, by their losses relative to the last value's."""
    if _any_won(losses):
        return tuple(losses)
    if Boosted.name not in losses:
        return (Naive.name,)
    # not the last value alone: losses are means over all hours, and bursts that capacity is short in are few: replayed,
    # `boosted` left less than half as much load unserved, on the series where this happens
    return (Naive.name, Boosted.name) if _say_of_last(losses) else (Boosted.name,)


def _say_of_last(losses: Mapping[str, FloatArray]) -> float:
    """The last value's share of the mean where nothing beats it."""
    behind = float(losses[Boosted.name].mean()) - 1
    return _SAY * min(1.0, max(0.0, behind / _FAR_BEHIND))


def _weights(names: tuple[str, ...], losses: Mapping[str, FloatArray], horizons: int) -> FloatArray:
    """Shares of the mean for values and peaks at each horizon; shape (names, 2, horizons)."""
    if len(names) == 1:
        return np.ones((1, 2, horizons))
    if Naive.name in names:
        say = _say_of_last(losses)
        return np.tile(np.array([say, 1 - say])[:, None, None], (1, 2, horizons))
    loss = np.stack([losses[name] for name in names])
    prior = np.array([_PRIOR[name] for name in names])[:, None, None]
    raw = prior * (loss.min(axis=0) / loss) ** _SHARPNESS
    return np.asarray(raw / raw.sum(axis=0))


def _weights_ahead(one: FittedAuto, origins: IntArray, batch: ForecastBatch) -> FloatArray:
    """Of values and peaks at each step ahead: shape (members, 2, 1, 1, H), or (members, 2, N, 1, H) on holidays."""
    ahead = range(1, batch.horizon + 1)
    weights = between(one.weights, one.horizons, ahead)[:, :, None, None]
    if not one.holidays.days:
        return weights
    rests = one.holidays.among(local_times(origins[:, None] + batch.step * np.array(ahead), one.zone))
    if not rests.any():
        return weights
    knowing = np.array([name == SeasonalProfile.name for name in one.names])[:, None, None, None, None]
    others = np.where(knowing, 0.0, weights)
    resting = np.where(knowing, _OF_HOLIDAYS, (1 - _OF_HOLIDAYS) * others / others.sum(axis=0))
    return np.where(rests[:, None], resting, weights)


def _log_mean(quantiles: Sequence[FloatArray], weights: FloatArray, floor: FloatArray, idle: FloatArray) -> FloatArray:
    """Weighted mean of logarithms, of those that are known; NaN where none is.

    Args:
        quantiles: One of shape (N, L, H) for each member.
        weights: Shape (members, N, 1, H), or (members, 1, 1, H) if origins do not differ.
        floor: Added before logarithms are taken; shape (N, 1, 1) or (1, 1, 1).
        idle: What is below it is 0; shape as of `floor`.
    """
    total = np.zeros(quantiles[0].shape)
    share = np.zeros(quantiles[0].shape)
    for quantile, weight in zip(quantiles, weights, strict=True):
        known = ~np.isnan(quantile)
        total += np.where(known, weight * np.log(np.where(known, quantile, 0.0) + floor), 0.0)
        share += np.where(known, weight, 0.0)
    out = np.full(total.shape, np.nan)
    np.divide(total, share, out=out, where=share > 0)
    mean = np.exp(np.minimum(out, 709.0)) - floor
    return np.asarray(np.minimum(np.where(mean < idle, 0.0, mean), np.finfo(np.float64).max / 2))


def _explained(
    weights: Mapping[str, float],
    losses: Mapping[str, FloatArray],
    days: float,
    profile: FittedForecaster | None,
    series: TimeSeries,
    *,
    young: bool = False,
) -> str:
    """In words; `profile` is what was fitted of `seasonal-profile`, which knows the seasons."""
    seasons = None
    if isinstance(profile, FittedSeasonalProfile):
        seasons = [one.length * series.step for one in profile.design.profiles]
    overall = {name: float(loss.mean()) for name, loss in losses.items()}
    return reason_for(weights, overall, days=days, won=_any_won(losses), seasons=seasons, young=young)
