"""What makes a generated load unsteady from minute to minute, beyond noise: work at random times, rates held, spikes.

Part of `forecasting.generate`: a multiplicative rhythm with noise on it is smoother than most workloads are. These
kinds of unsteadiness are common to loads of all sorts; none of them is taken from a trace.

Sources: work that begins at random and takes its time as shot noise, the number of busy servers of an M/G/inf queue
with a varying rate (Eick, Massey and Whitt, "The physics of the M(t)/G/inf queue", Operations Research 41, 1993), sizes
Pareto or lognormal; counts that scatter more than Poisson's as a mixture over Gamma rates (Greenwood and Yule, Journal
of the Royal Statistical Society 83, 1920).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecasting.series import FloatArray
    from forecasting.windows import IntArray

__all__ = ["unsteadied"]

_DAY = 86400
_SMALLEST = 1e-9
# For how long a rate is held, seconds: between the runs of what sets it.
_HELD = (300, 600, 600, 900, 1800)
_MOST_WORK = 150_000  # pieces of work in a series, so that a long one does not take for ever
_HIGHEST = 500.0  # a piece of work or a spike, in its usual sizes


def unsteadied(random: np.random.Generator, load: FloatArray, time: FloatArray) -> FloatArray:
    """The load, unsteady in some ways, each with some probability, or in none.

    Args:
        random: Where all of it is drawn from.
        load: Not negative; shape (n,).
        time: When, in seconds, evenly spaced; shape (n,).

    Returns:
        Not negative, of about the same mean but for its spikes; shape (n,).
    """
    step = float(time[1] - time[0]) if time.size > 1 else 60.0
    if random.random() < 0.5:
        share = random.choice([1.0, random.uniform(0.2, 1.0)])
        work = _work(random, load, step)
        load = (1 - share) * load + share * float(load.mean()) / max(float(work.mean()), _SMALLEST) * work
    if random.random() < 0.2:
        load = load * _held(random, time)
    if random.random() < 0.3:
        load = load + float(load.mean()) * _spikes(random, load.size, step)
    if random.random() < 0.2:
        shape = _log_uniform(random, 0.5, 100)
        load = load * random.gamma(shape, 1 / shape, load.size)
    return load


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return math.exp(random.uniform(math.log(low), math.log(high)))


def _work(random: np.random.Generator, load: FloatArray, step: float) -> FloatArray:
    """Work under way: pieces that begin at random, the more of them the higher the load."""
    length, scatter = _log_uniform(random, 60, 10_800) / step, random.uniform(0.2, 1.5)
    together = _log_uniform(random, 0.3, 100)  # at the same time, on average
    usual = length * math.exp(scatter**2 / 2)
    count = int(random.poisson(min(together * load.size / usual, _MOST_WORK)))
    begun = np.cumsum(load)
    if not count or begun[-1] <= 0:
        return load
    begin = np.minimum(np.searchsorted(begun, random.random(count) * begun[-1]), load.size - 1)
    takes = length * random.lognormal(0, scatter, count)
    if random.random() < 0.5:
        size = random.pareto(random.uniform(1.3, 3), count) + 0.2
    else:
        size = random.lognormal(0, random.uniform(0, 1.2), count)
    # a piece that is done within a sample is a part of it
    return _stacked(load.size, begin, takes, np.minimum(size, _HIGHEST) * np.minimum(takes, 1.0))


def _held(random: np.random.Generator, time: FloatArray) -> FloatArray:
    """Factor that changes every so many minutes, and not between."""
    every = int(random.choice(_HELD))
    offset = random.choice([0.0, random.uniform(0, every)])
    number = ((time - time[0] + offset) // every).astype(np.int64)
    keep, size = random.choice([0.0, 0.5, 0.9]), random.uniform(0.03, 0.5)
    shocks = random.normal(0, size * math.sqrt(1 - keep**2), int(number[-1]) + 1)
    log, now = np.empty(shocks.size), 0.0
    for i, shock in enumerate(shocks.tolist()):
        now = keep * now + shock
        log[i] = now
    return np.asarray(np.exp(log[number]))


def _spikes(random: np.random.Generator, n: int, step: float) -> FloatArray:
    """Up and down at once, within a sample or a few, up to some hundreds a day."""
    count = int(random.poisson(min(_log_uniform(random, 3, 300) * n * step / _DAY, n / 4)))
    takes = random.integers(1, 1 + int(random.choice([1, 2, 5])), count).astype(np.float64)
    height = (random.pareto(random.uniform(1, 2.5), count) + 0.1) * _log_uniform(random, 0.1, 3)
    return _stacked(n, random.integers(0, n, count), takes, np.minimum(height, _HIGHEST))


def _stacked(n: int, begin: IntArray, takes: FloatArray, height: FloatArray) -> FloatArray:
    """The sum of pieces of so many steps, one at least, and such heights; shape (n,)."""
    end = np.minimum(begin + np.maximum(1, np.rint(takes)).astype(np.int64), n)
    total = np.cumsum(np.bincount(begin, height, n + 1) - np.bincount(end, height, n + 1))[:n]
    # what sums of what came and went leave of nothing is nothing
    return np.where(total > _SMALLEST * total.max(), total, 0.0)
