"""Which rhythms a series has: seasons of any length, several at once.

Candidates are local maxima of the autocorrelation (Box and Jenkins, "Time series analysis", 1970), and the day
and the week, which calendars make likely. Each is tested by what it is for: the share of variance that the mean
of the *other* cycles explains. Noise, however red, explains nothing in cycles that it has not seen, so the
test needs no model of the noise. What the best season explains is subtracted, and the search repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import InvalidParameter
from forecasting.prepare.gaps import interpolated
from forecasting.prepare.resample import coarsened
from forecasting.prepare.scale import in_units, unit_of
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray

__all__ = ["Season", "checked_season_length", "find_seasons", "season_lengths"]

_HOUR, _DAY, _WEEK = 3600, 86400, 604800
# Autocorrelations are computed on at most so many samples: more add cost, not certainty.
_MAX_SAMPLES = 4096
# Cycles that a season must have shown; one that calendars make likely needs fewer.
_MIN_CYCLES = 8
_MIN_CYCLES_CALENDAR = 2
# A season shorter than this is within what autoregression handles anyway.
_SHORTEST = 6
# Share of variance that a season must explain out of sample.
_PROOF = 0.10
_PROOF_CALENDAR = 0.04
# And how surely: the mean over cycles of the correlation with the others, in standard errors. Candidates are the
# best of many lags, so chance has many tries.
_SURE = 6.0
_SURE_CALENDAR = 2.5
# Multiples of a season are seasons, too. A length that the best is a multiple of is taken before it if it explains
# this share of what the best does; what it leaves over is found next.
_FUNDAMENTAL = 0.5
_MULTIPLE = 0.015
# Between a calendar's length and one right beside it, so much more must speak for the latter.
_CALENDAR_BONUS = 0.05
_CANDIDATES = 8
# A length found may be off by this share; so many lengths to each side are tried, then ever nearer to the best.
_OFF = 0.015
_SHARPENING = 6
# People schedule by the hour and by parts of a day: between such a length and one beside it, so much more must speak
# for the latter.
_ROUND_BONUS = 0.02
# Seasons up to this share of the samples are sought without coarsening.
_FINE = 1 / 8


@dataclass(frozen=True, slots=True)
class Season:
    """A rhythm found.

    Attributes:
        length: Steps of the series in one cycle.
        strength: Share of the variance left by stronger seasons that this one explains in cycles not
            used to estimate it; above 0, at most 1.
    """

    length: int
    strength: float


def checked_season_length(length: int | None, *, least: int) -> None:
    """Refuses a season of fewer steps than this; None means that seasons are found.

    Raises:
        InvalidParameter: It has fewer.
    """
    if length is not None and length < least:
        raise InvalidParameter(
            f"parameter 'season_length' must be {least} {'step' if least == 1 else 'steps'} or more, not {length}"
        )


def season_lengths(series: TimeSeries, given: int | None) -> tuple[int, ...]:
    """Steps in each of the seasons: those found if none is given; 0 means that there is none."""
    if given is None:
        return tuple(season.length for season in find_seasons(series))
    return (given,) if given else ()


def find_seasons(series: TimeSeries, *, limit: int = 3) -> tuple[Season, ...]:
    """The seasons of a series, strongest first.

    Args:
        series: History; may hold NaN. A season needs at least two cycles of it.
        limit: Seasons to find at most.
    """
    if series.known < max(2 * _SHORTEST, len(series) // 10):
        return ()
    series = in_units(series, unit_of(series.values))
    whole = interpolated(series.values)
    # short seasons are sought in the recent past, long ones on a grid coarse enough to hold all of it
    factor = _factor(series)
    if factor == 1:
        found, _ = _greedy(series, limit, None)
    else:
        recent, _ = _greedy(series.last(_MAX_SAMPLES), limit, int(_MAX_SAMPLES * _FINE))
        found, rest = [], whole
        for season in recent:
            found.append(_sharpened(season, rest, series.step))
            rest = rest - _profile(rest - rest.mean(), found[-1].length)
        coarse, _ = _greedy(coarsened(TimeSeries(series.start, series.step, rest), factor), limit, None)
        shortest = _MAX_SAMPLES * _FINE
        found += [
            Season(season.length * factor, season.strength) for season in coarse if season.length * factor > shortest
        ]
    return _settled(found, whole, series.step)[:limit]


def _greedy(series: TimeSeries, limit: int, longest: int | None) -> tuple[list[Season], FloatArray]:
    """Season after season, each sought in what those before it leave over."""
    found: list[Season] = []
    values = interpolated(series.values)
    for _ in range(limit):
        season, values = _strongest(values, series.step, longest or values.size)
        if season is None:
            break
        found.append(season)
    return found, values


def _factor(series: TimeSeries) -> int:
    needed = -(-len(series) // _MAX_SAMPLES)
    # grids on which a day is a whole number of steps keep its rhythm sharp
    for factor in range(needed, 4 * needed):
        if _DAY % (series.step * factor) == 0:
            return factor
    return needed


def _strongest(values: FloatArray, step: int, longest: int) -> tuple[Season | None, FloatArray]:
    """The season that explains most, if it is proven, and the values without it."""
    values = _tamed(values)
    n = values.size
    calendar = _calendar(step)
    lengths = {m for m in calendar if _SHORTEST <= m <= n // _MIN_CYCLES_CALENDAR}
    lengths |= {m for m in _peaks(values) if m <= n // _MIN_CYCLES}
    proven = {}
    for length in sorted(m for m in lengths if m <= longest):
        strength, sure = _explained(values, length)
        usual = length in calendar
        if strength > (_PROOF_CALENDAR if usual else _PROOF) and sure > (_SURE_CALENDAR if usual else _SURE):
            proven[length] = strength
    if not proven:
        return None, values
    best = max(proven, key=lambda m: proven[m])
    shortest = min(m for m in proven if _is_multiple(best, m) and proven[m] >= _FUNDAMENTAL * proven[best])
    near = {m: share for m, share in proven.items() if abs(m / shortest - 1) <= 2 * _MULTIPLE}
    length = max(near, key=lambda m: near[m] + (_CALENDAR_BONUS if m in calendar else 0.0))
    season = _sharpened(Season(length, proven[length]), values, step)
    return season, values - _profile(values, season.length)


def _calendar(step: int) -> set[int]:
    return {span // step for span in (_DAY, _WEEK) if span % step == 0}


def _sharpened(season: Season, values: FloatArray, step: int) -> Season:
    """The season at the length near its own at which it explains most of these values.

    The autocorrelation's maximum is a step or two off, and a season that is off by a minute is out of phase by an hour
    after sixty cycles. What the calendar gives is right as it is.

    Args:
        season: Found in a part of the values, or on a coarser grid; its strength is kept.
        values: To look at; shape (n,).
        step: Seconds between them.
    """
    if season.length in _calendar(step):
        return season
    values = _tamed(values)
    best, stride = season.length, max(1, round(_OFF * season.length / _SHARPENING))

    def fits(length: int) -> float:
        seconds = length * step
        round_one = seconds % _HOUR == 0 or _DAY % seconds == 0
        return _explained(values, length)[0] + (_ROUND_BONUS if round_one else 0.0)

    known = {best: fits(best)}
    while stride:
        reach = range(-_SHARPENING, _SHARPENING + 1) if len(known) == 1 else (-1, 1)
        for length in (best + stride * k for k in reach):
            if length not in known and _SHORTEST <= length <= values.size // 2:
                known[length] = fits(length)
        best = max(known, key=known.__getitem__)
        stride //= 2
    return Season(best, season.strength)


def _settled(found: Sequence[Season], values: FloatArray, step: int) -> tuple[Season, ...]:
    """The seasons, strongest first, each sharpened on what the others leave, and none twice."""
    rest = values - values.mean()
    parts = []
    for season in found:
        parts.append(_profile(rest, season.length))
        rest = rest - parts[-1]
    out: list[Season] = []
    for season, part in sorted(zip(found, parts, strict=True), key=lambda pair: -pair[0].strength):
        own = rest + part
        sharp = _sharpened(season, own, step)
        if sharp.length != season.length:
            rest = own - _profile(own, sharp.length)
        if all(abs(sharp.length / other.length - 1) > 2 * _MULTIPLE for other in out):
            out.append(sharp)
    return tuple(out)


def _is_multiple(length: int, of: int) -> bool:
    ratio = length / of
    return round(ratio) >= 1 and abs(ratio / round(ratio) - 1) <= _MULTIPLE


def _tamed(values: FloatArray) -> FloatArray:
    """Without trend, and spikes cut to the 1st and 99th percentile: a flash crowd is no season."""
    low, high = np.quantile(values, (0.01, 0.99))
    cut = np.clip(values, low, high) if high > low else values
    span = float(np.max(np.abs(cut)))
    if span == 0 or not np.isfinite(span):
        return np.zeros(values.shape)
    cut = cut / span
    t = np.linspace(-1, 1, values.size)
    slope = float((t * cut).sum() / (t * t).sum())
    return np.asarray(cut - cut.mean() - slope * t)


def _peaks(values: FloatArray) -> set[int]:
    """Lags at which the autocorrelation has its highest local maxima."""
    n = values.size
    spectrum = np.fft.rfft(values, 2 * n)
    correlation = np.fft.irfft(spectrum * np.conj(spectrum))[: n // _MIN_CYCLES + 2]
    if correlation.size < _SHORTEST + 2 or correlation[0] <= 0:
        return set()
    correlation = correlation / correlation[0] * n / (n - np.arange(correlation.size))
    width = max(1, correlation.size // 400)
    smooth = np.convolve(correlation, np.full(2 * width + 1, 1 / (2 * width + 1)), mode="same")
    inner = np.arange(_SHORTEST, smooth.size - 1)
    high = inner[(smooth[inner] >= smooth[inner - 1]) & (smooth[inner] > smooth[inner + 1]) & (smooth[inner] > 0.05)]
    ranked = high[np.argsort(-smooth[high], kind="stable")][:_CANDIDATES]
    # of a short season the best lags are all multiples: so the shortest lags that come near the best, too
    near_best = high[smooth[high] >= _FUNDAMENTAL * np.max(smooth[high], initial=0.0)][:_CANDIDATES]
    out = set()
    for lag in {*ranked.tolist(), *near_best.tolist()}:
        near = np.arange(max(_SHORTEST, lag - width), min(correlation.size, lag + width + 1))
        top = int(near[np.argmax(correlation[near])])
        # one step amiss is nothing to the autocorrelation, and out of phase after dozens of cycles
        out |= {top - 1, top, top + 1} - {_SHORTEST - 1}
    return out


def _cycles(values: FloatArray, length: int) -> FloatArray:
    """The last whole cycles, one per row."""
    count = values.size // length
    return values[values.size - count * length :].reshape(count, length)


def _explained(values: FloatArray, length: int) -> tuple[float, float]:
    """Share of variance that the mean of the other cycles explains, and how sure that is.

    Each cycle's own level does not count. How sure: the correlations of each cycle with the mean of the others,
    their mean over its standard error; of two cycles there is only one, so it must be high.
    """
    cycles = _cycles(values, length)
    count = cycles.shape[0]
    cycles = cycles - cycles.mean(axis=1, keepdims=True)
    total = float((cycles**2).sum())
    if total <= 1e-12 * values.size:
        return 0.0, 0.0
    others = (cycles.sum(axis=0) - cycles) / (count - 1)
    # noisy cycles predict each other badly even if the rhythm is there: shrink as the best predictor would
    shrink = float((others * cycles).sum() / max(float((others**2).sum()), 1e-300))
    shrink = min(max(shrink, 0.0), 1.0)
    strength = 1.0 - float(((cycles - shrink * others) ** 2).sum()) / total
    norm = np.sqrt((cycles**2).sum(axis=1) * (others**2).sum(axis=1))
    correlation = (cycles * others).sum(axis=1) / np.maximum(norm, 1e-300)
    if count == 2:
        return strength, 10.0 * float(correlation.mean())
    error = max(float(correlation.std(ddof=1)), 0.02) / np.sqrt(count)
    return strength, float(correlation.mean() / error)


def _profile(values: FloatArray, length: int) -> FloatArray:
    mean = _cycles(values, length).mean(axis=0)
    n = values.size
    return np.asarray(mean[(np.arange(n) - n % length) % length])
