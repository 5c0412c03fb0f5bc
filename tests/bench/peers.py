"""The methods of other predictive autoscalers, re-implemented as baselines: their methods, not their programs.

Each gives the peaks that it would forecast after every sample, from the past only; the served value is then the
larger of that and the observed load, which flatters both: as shipped, neither has that floor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecasting.series import FloatArray, TimeSeries

__all__ = ["crane_like", "perfect", "phpa_like"]

DAY = 86400
_GRID = np.array([(a, b, c) for a in (0.05, 0.2, 0.5, 0.9) for b in (0.0, 0.01, 0.1) for c in (0.05, 0.2, 0.5)])
_HARMONICS = 20
_HISTORY = 7 * DAY


def filled(series: TimeSeries) -> FloatArray:
    """The values with gaps held from the sample before, 0 before the first."""
    known = ~np.isnan(series.values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(series)), 0))
    return np.nan_to_num(series.values[last])


def phpa_like(series: TimeSeries, *, first: int, horizon: int) -> FloatArray:
    """Additive Holt-Winters with a daily season, its parameters from a grid on the past before `first`.

    Winters, "Forecasting sales by exponentially weighted moving averages", Management Science 6, 1960; the default
    of the Predictive Horizontal Pod Autoscaler. Returns peaks, shape (samples, horizon).
    """
    values = filled(series)
    season = DAY // series.step
    best = _GRID[int(np.argmin(_squared_errors(values[:first], season)))]
    alpha, beta, gamma = (float(number) for number in best)
    level, trend = float(values[:season].mean()), 0.0
    seasonal = (values[:season] - level).tolist()
    peaks = np.full((len(series), horizon), np.nan)
    ahead = np.arange(1, horizon + 1)
    for n, value in enumerate(values.tolist()):
        slot = n % season
        before = level
        level = alpha * (value - seasonal[slot]) + (1 - alpha) * (level + trend)
        trend = beta * (level - before) + (1 - beta) * trend
        seasonal[slot] += gamma * (value - level - seasonal[slot])
        if n >= first:
            coming = [seasonal[(n + h) % season] for h in range(1, horizon + 1)]
            peaks[n] = np.maximum.accumulate(np.maximum(0.0, level + trend * ahead + coming))
    return peaks


def _squared_errors(values: FloatArray, season: int) -> FloatArray:
    """One-step errors of every point of the grid, after the first two seasons."""
    alpha, beta, gamma = _GRID.T
    level = np.full(len(_GRID), values[:season].mean())
    trend = np.zeros(len(_GRID))
    seasonal = np.tile((values[:season] - values[:season].mean())[:, None], (1, len(_GRID)))
    errors = np.zeros(len(_GRID))
    for n, value in enumerate(values):
        slot = seasonal[n % season]
        if n >= 2 * season:
            errors += (value - level - trend - slot) ** 2
        before = level
        level = alpha * (value - slot) + (1 - alpha) * (level + trend)
        trend = beta * (level - before) + (1 - beta) * trend
        seasonal[n % season] = slot + gamma * (value - level - slot)
    return errors


def crane_like(series: TimeSeries, *, first: int, horizon: int) -> FloatArray:
    """The strongest harmonics of the last seven days, carried on for a day: Crane's signal processing.

    Returns peaks, shape (samples, horizon).
    """
    values = filled(series)
    day = DAY // series.step
    peaks = np.full((len(series), horizon), np.nan)
    for begin in range(first, len(series), day):
        past = values[max(0, begin + 1 - _HISTORY // series.step) : begin + 1]
        past = past[len(past) % day :] if len(past) >= day else past
        spectrum = np.fft.rfft(past)
        kept = np.argsort(np.abs(spectrum))[-_HARMONICS - 1 :]
        ahead = np.arange(len(past), len(past) + day + horizon)
        angles = 2 * np.pi * np.outer(ahead, kept) / len(past)
        weight = np.where((kept == 0) | (2 * kept == len(past)), 1.0, 2.0) / len(past)
        coming = np.maximum(0.0, (weight * (spectrum[kept] * np.exp(1j * angles)).real).sum(axis=1))
        windows = np.lib.stride_tricks.sliding_window_view(coming, horizon)
        end = min(begin + day, len(series))
        peaks[begin:end] = np.maximum.accumulate(windows[: end - begin], axis=1)
    return peaks


def perfect(series: TimeSeries, *, first: int, horizon: int) -> FloatArray:
    """What will be: the bound of any forecast behind the same HPA. Returns peaks, shape (samples, horizon)."""
    coming = np.append(filled(series), np.zeros(horizon))
    windows = np.lib.stride_tricks.sliding_window_view(coming[1:], horizon)
    peaks = np.maximum.accumulate(windows, axis=1)[: len(series)].copy()
    peaks[:first] = np.nan
    return peaks
