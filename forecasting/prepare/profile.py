"""Seasonal profiles: what is usual at each point of a season, and what the other cycles say it is.

Means over cycles, recent ones weighing more, on bins as wide as serves best: a wide bin has less noise, a narrow one
keeps a sharp start of a job sharp. Width and shrinkage are chosen by how well each cycle is predicted by the
others. Where a method is trained on deviations from a profile, it must see those from the profile of the *other*
cycles: its own profile is closer to a cycle than any will be in the future.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray
    from forecasting.windows import IntArray

__all__ = ["Profile", "fit_profiles", "profile_at", "profiles_at"]

# Widths tried, in shares of the season: 1, 5 and 15 minutes of a day.
_WIDTHS = (1 / 1440, 1 / 288, 1 / 96)
# A profile is stored in at most so many bins.
_MAX_BINS = 1440
# A cycle so many cycles ago weighs half.
_HALF_LIFE = 6.0
_Bins: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Profile:
    """One season's profile.

    Attributes:
        length: Steps in a cycle; phase 0 is where times are multiples of length * step.
        width: Steps in a bin; divides the length.
        bins: Means, shape (length // width,).
        weekly: Holidays in it are like the day of rest.
    """

    length: int
    width: int
    bins: _Bins
    weekly: bool = False

    def at(self, steps: IntArray) -> FloatArray:
        """What is usual at these times, given in steps since the epoch; linear between bins' centres."""
        return _at((self,), steps)


def _at(profiles: Sequence[Profile], steps: IntArray) -> FloatArray:
    """What is usual, by one profile for all times or by one for each row of them; of their shape."""
    bins = np.concatenate([one.bins for one in profiles])
    each = [(one.length, one.width, one.bins.size) for one in profiles]
    length, width, n = np.array(each).T[(..., *[None] * (steps.ndim - 1))]
    first = np.cumsum(n, axis=0) - n
    if (width == 1).all():
        return np.asarray(bins[first + steps % length], dtype=np.float64)
    position = (steps % length) / width - 0.5 + 0.5 / width
    low = np.floor(position).astype(np.int64)
    share = position - low
    before, after = (bins[first + at % n].astype(np.float64) for at in (low, low + 1))
    return np.asarray(before * (1 - share) + after * share)


def profile_at(profiles: Sequence[Profile], steps: IntArray, resting: IntArray | None = None) -> FloatArray:
    """The sum of several profiles at these times, in steps since the epoch; arguments as of `fit_profiles`."""
    return profiles_at((profiles,), steps, resting)


def profiles_at(series: Sequence[Sequence[Profile]], steps: IntArray, resting: IntArray | None = None) -> FloatArray:
    """The same of several series: the profiles of one for all times, or of one for each row of them."""
    total = np.zeros(steps.shape)
    if len(series) == 1:
        for profile in series[0]:
            total += profile.at(resting if profile.weekly and resting is not None else steps)
        return total
    for place in range(max(map(len, series))):
        for weekly in (False, True):
            rows = [row for row, some in enumerate(series) if place < len(some) and some[place].weekly is weekly]
            if rows:
                times = resting if weekly and resting is not None else steps
                total[rows] += _at([series[row][place] for row in rows], times[rows])
    return total


def fit_profiles(
    values: FloatArray,
    steps: IntArray,
    seasons: Sequence[int],
    *,
    resting: IntArray | None = None,
    week: int = 0,
) -> tuple[tuple[Profile, ...], FloatArray]:
    """Profiles of seasons, each of what the shorter ones leave over.

    Args:
        values: Samples, missing ones NaN; shape (n,).
        steps: Times of the samples in steps since the epoch, or since then on a local clock, which skips and
            repeats an hour once a year; shape (n,).
        seasons: Season lengths in steps; those with fewer than two cycles are passed over.
        resting: `steps` with holidays moved to the day of rest, as `forecasting.prepare.calendar.Holidays` does; None:
            there are none. What happens on a holiday teaches no profile of the week, and is told by its day of rest.
        week: Steps in a week; 0: no season is one.

    Returns:
        The profiles; and for each sample what the other cycles' profiles say, shape (n,).
    """
    n = values.size
    others = np.zeros(n)
    profiles: list[Profile] = []
    for length in sorted(seasons):
        if n < 2 * length:
            continue
        rest = values - others
        weekly = week > 0 and length % week == 0 and resting is not None
        place, told = _places(steps, resting if weekly and resting is not None else steps, length)
        padded = np.full((int(max(place.max(), told.max())) // length + 1) * length, np.nan)
        padded[place] = np.where(place == told, rest, np.nan)
        table = padded.reshape(-1, length)
        fits = [_fit(table, width) for width in _widths(length)]
        profile, left_out, _ = min(fits, key=lambda fit: fit[2])
        profiles.append(replace(profile, weekly=weekly))
        others = others + left_out.ravel()[told]
    return tuple(profiles), others


def _places(steps: IntArray, told: IntArray, length: int) -> tuple[IntArray, IntArray]:
    """Both counted from the first cycle's begin."""
    begin = min(steps.min(), told.min()) // length * length
    return steps - begin, told - begin


def _widths(length: int) -> list[int]:
    least = -(-length // _MAX_BINS)
    divisors = [d for d in range(1, length // 4 + 1) if length % d == 0 and d >= least] or [length]
    return sorted({min(divisors, key=lambda d: abs(d - share * length)) for share in _WIDTHS})


def _fit(table: FloatArray, width: int) -> tuple[Profile, FloatArray, float]:
    """Profile on bins of this width, the others' profile for each cycle, and the squared error of the latter."""
    cycles, length = table.shape
    blocks = table.reshape(cycles, length // width, width)
    known = ~np.isnan(blocks)
    count = known.sum(axis=2)
    sums = np.where(known, blocks, 0.0).sum(axis=2)
    means = sums / np.maximum(count, 1)
    weight = (count > 0) * 0.5 ** (np.arange(cycles)[::-1, None] / _HALF_LIFE)
    total, mass = (weight * means).sum(axis=0), weight.sum(axis=0)
    overall = float(sums.sum() / max(1, count.sum()))
    usual = np.where(mass > 0, total / np.where(mass > 0, mass, 1), overall)
    rest = mass - weight
    left_out = np.where(rest > 0, (total - weight * means) / np.where(rest > 0, rest, 1), overall)
    # shrink towards the mean as far as the other cycles predict badly
    ahead = left_out - overall
    actual = np.where(count > 0, means - overall, 0.0)
    ahead = np.where(count > 0, ahead, 0.0)
    power = float((ahead * ahead).sum())
    shrink = min(max(float((ahead * actual).sum()) / power, 0.0), 1.0) if power > 0 else 0.0
    profile = Profile(length=length, width=width, bins=_stored(overall + shrink * (usual - overall)))
    # the others' profile, interpolated as the profile itself is
    rows = [Profile(length=length, width=width, bins=_stored(overall + shrink * (row - overall))) for row in left_out]
    each = np.stack([row.at(np.arange(length, dtype=np.int64)) for row in rows])
    return profile, each, float(np.nansum((table - each) ** 2))


def _stored(bins: FloatArray) -> _Bins:
    """In single precision, which ends at 3e38: one sample of 1e200 must not make an infinity of a mean."""
    return np.clip(bins, -1e38, 1e38).astype(np.float32)
