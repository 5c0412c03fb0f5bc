"""Where bands should be wide: residuals measured on a power scale, in units of the recent roughness.

Load scatters more when it is high, more for a while after it has scattered more, and more at some hours. Ranking
residuals after a monotone transform and division by a width known at the origin keeps the conformal promise (Lei et
al., "Distribution-free predictive inference for regression", JASA 113, 2018, section 5.2) and makes bands narrow where
they can be. The power scale is that of Box and Cox, "An analysis of transformations", JRSS B 26, 1964. Which of a few
such scales serves a series is decided by pinball loss on residuals not used for the bands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecasting.calibration import Bands, conformal_quantiles, running_maximum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forecasting.series import FloatArray
    from forecasting.windows import Windows

__all__ = ["RECENT", "Spread", "calibrated", "widths"]

# Roughness is the mean absolute change over so many steps.
RECENT = 60
# Added to it, in shares of the training's mean: a minute of silence does not make the future certain.
_FLOOR = 0.25
_POWERS = (1.0, 0.5, 0.25)
_ROUGHNESSES = (0.0, 0.5, 1.0)
_LEVELS = (0.5, 0.9, 0.95)
# A scale must beat the plain one by this share of pinball loss.
_MARGIN = 0.01
_DAY = 86400
# The scatter is told apart by so many parts of the day, each shrunk towards the whole by so many residuals.
_PARTS = 12
_PRIOR = 10


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How residuals are scaled.

    Attributes:
        power: They are differences of load to this power; 1: of the load itself.
        roughness: Exponent of the recent roughness that they are divided by; 0: not divided.
        usual: Mean roughness in training, on the power scale.
        hours: How wide the bands are at each part of the day, relative to the mean; empty: alike.
    """

    power: float = 1.0
    roughness: float = 0.0
    usual: float = 1.0
    hours: tuple[float, ...] = ()

    def forth(self, load: FloatArray) -> FloatArray:
        """Load on the power scale; monotone, so maxima stay maxima."""
        if self.power == 0.25:
            return np.sqrt(np.sqrt(np.maximum(load, 0.0)))  # several times faster than a power
        return load if self.power == 1.0 else np.maximum(load, 0.0) ** self.power

    def back(self, scaled: FloatArray) -> FloatArray:
        """The load that `forth` has made this of; what lies below none is 0."""
        if self.power == 0.25:
            return np.square(np.square(np.clip(scaled, 0.0, 1e25)))
        return scaled if self.power == 1.0 else np.clip(scaled, 0.0, 1e100**self.power) ** (1 / self.power)

    def width(self, windows: Windows) -> FloatArray | None:
        """The width of each origin's band relative to the others'; shape (N,). None: all the same."""
        return widths((self,), windows)

    @property
    def kind(self) -> tuple[float, float, int]:
        """What spreads must have in common for `widths`: the arithmetic."""
        return self.power, self.roughness, len(self.hours)


def widths(spreads: Sequence[Spread], windows: Windows) -> FloatArray | None:
    """The width of each origin's band; shape (N,). None: all the same.

    Args:
        spreads: One for all origins or one for each, of one `Spread.kind`.
        windows: The origins.
    """
    if spreads[0].hours:
        return _rough_widths(spreads, windows) * _hour_widths(spreads, windows)
    return None if spreads[0].roughness == 0.0 else _rough_widths(spreads, windows)


def _hour_widths(spreads: Sequence[Spread], windows: Windows) -> FloatArray:
    """By the time of day, linear between the hours' centres."""
    width = np.array([one.hours for one in spreads])
    n = width.shape[1]
    position = (windows.ends % _DAY) / _DAY * n - 0.5
    low = np.floor(position).astype(np.int64)
    share, row = position - low, np.arange(len(width))  # broadcast, if there is one
    return np.asarray(width[row, low % n] * (1 - share) + width[row, (low + 1) % n] * share)


def _rough_widths(spreads: Sequence[Spread], windows: Windows) -> FloatArray:
    first = spreads[0]
    if first.roughness == 0.0:
        return np.ones(len(windows))
    rough = _rough(first.forth(windows.values[:, -RECENT - 1 :]))
    usual = np.array([one.usual for one in spreads])
    relative = np.clip(np.nan_to_num(rough / usual, nan=1.0, posinf=1e6), 0.0, 1e6)
    return np.asarray((relative + _FLOOR) ** first.roughness)


def calibrated(parts: list[tuple[Windows, FloatArray, FloatArray]], *, plain: bool) -> tuple[Spread, Bands]:
    """The scale that suits these forecasts, and the bands on it.

    Args:
        parts: Windows, actual values (N, H) and paths (N, H) of them, in the order of time.
        plain: Take the plain scale without trying others.
    """
    actual = np.concatenate([part[1] for part in parts])
    paths = np.concatenate([part[2] for part in parts])
    best = Spread()
    if not plain and len(actual) >= 100:
        judged = _judged(actual, paths)
        loss = _loss(best, parts, judged) * (1 - _MARGIN)
        for spread in _candidates(parts):
            other = _loss(spread, parts, judged)
            if other < loss:
                best, loss = spread, other
        hourly = _with_hours(best, parts, actual, paths)
        if hourly is not None and _loss(hourly, parts, judged) < loss * (1 - 2 * _MARGIN):
            best = hourly
    return best, Bands.of(best.forth(actual), best.forth(paths), _widths(best, parts))


def _candidates(parts: list[tuple[Windows, FloatArray, FloatArray]]) -> Iterator[Spread]:
    for power in _POWERS:
        scale = Spread(power=power)
        rough = np.concatenate([_rough(scale.forth(part[0].values[:, -RECENT - 1 :])) for part in parts])
        usual = float(np.nanmean(rough)) if np.count_nonzero(~np.isnan(rough)) else 0.0
        for roughness in _ROUGHNESSES:
            if roughness == 0.0 and power != 1.0:
                yield scale
            elif roughness > 0.0 and 0.0 < usual < 1e50:
                yield Spread(power=power, roughness=roughness, usual=usual)


def _with_hours(
    spread: Spread, parts: list[tuple[Windows, FloatArray, FloatArray]], actual: FloatArray, paths: FloatArray
) -> Spread | None:
    """The same with the scatter of each time of day, if three days of residuals are there to tell."""
    ends = np.concatenate([part[0].ends for part in parts])
    if ends[-1] - ends[0] < 3 * _DAY:
        return None
    width = _widths(spread, parts)
    residuals = np.abs(spread.forth(actual) - spread.forth(paths))
    if width is not None:
        residuals = residuals / width[:, None]
    known = ~np.isnan(residuals)
    each = np.where(known, residuals, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    hour = (ends % _DAY) * _PARTS // _DAY
    mean = float(each.mean())
    if not 0 < mean < 1e50:
        return None
    count = np.bincount(hour, minlength=_PARTS)
    sums = np.bincount(hour, weights=each, minlength=_PARTS)
    shrunk = (sums + _PRIOR * mean) / (count + _PRIOR) / mean
    return replace(spread, hours=tuple(float(max(value, 0.2)) for value in shrunk))


def _widths(spread: Spread, parts: list[tuple[Windows, FloatArray, FloatArray]]) -> FloatArray | None:
    found = [spread.width(part[0]) for part in parts]
    known = [width for width in found if width is not None]
    return np.concatenate(known) if known else None


def _judged(actual: FloatArray, paths: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """What came and what was predicted, values and then peaks, at the few horizons that scales are judged at."""
    horizon = actual.shape[1]
    at = np.unique([0, horizon // 4, horizon // 2, horizon - 1])
    return [
        (actual[:, at], paths[:, at]),
        (running_maximum(actual)[:, at], np.maximum.accumulate(paths, axis=1)[:, at]),
    ]


def _loss(
    spread: Spread,
    parts: list[tuple[Windows, FloatArray, FloatArray]],
    judged: list[tuple[FloatArray, FloatArray]],
) -> float:
    """Pinball loss over values and peaks at a few horizons: each half's bands tried on the other half."""
    width = _widths(spread, parts)
    unit = np.ones((len(judged[0][0]), 1)) if width is None else width[:, None]
    total = 0.0
    for came, path in judged:
        middle = spread.forth(path)
        residuals = (spread.forth(came) - middle) / unit
        half = len(came) // 2
        for used, tried in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
            for level, offset in zip(_LEVELS, conformal_quantiles(residuals[used], _LEVELS), strict=True):
                miss = came[tried] - spread.back(middle[tried] + unit[tried] * offset)
                loss = np.maximum(level * miss, (level - 1) * miss)
                known = ~np.isnan(loss)
                each = np.where(known, loss, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
                # a horizon or level with larger losses by nature must not outweigh the others
                total += float(np.sum(each / (level * (1 - level)) ** 0.5))
    return total if np.isfinite(total) else float("inf")


def _rough(values: FloatArray) -> FloatArray:
    """Mean absolute change of known neighbours; NaN where there are none; shape (N,)."""
    if values.shape[1] < 2:
        return np.full(len(values), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        moves = np.abs(np.diff(values, axis=1))
        known = np.count_nonzero(~np.isnan(moves), axis=1)
        return np.asarray(np.where(known > 0, np.nansum(moves, axis=1) / np.maximum(known, 1), np.nan))
