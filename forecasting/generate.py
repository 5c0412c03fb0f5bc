"""Loads that no workload ever had: generated series, to train what is trained across series.

Real traces are few, and the figures that are shown are taken on them. These series fill the gaps between them: a
multiplicative day and week, slow wandering, growth and shifts of level, jobs that run by the clock, bursts that
come unannounced, and noise of several kinds, each present with some probability and of random size. Whatever is
drawn comes from the generator passed in, so a seed names a series for ever. Those called unsteady may have what
`forecasting.unsteady` adds from minute to minute.

Sources: wandering as an Ornstein-Uhlenbeck process (Uhlenbeck and Ornstein, Physical Review 36, 1930); flash crowds
with a sharp rise and an exponential decay (Ari et al., "Managing flash crowds on the Internet", MASCOTS 2003), their
heights Pareto; counts as Poisson numbers of a varying rate; generating series to train global models on: Dooley et
al., "ForecastPFN", NeurIPS 2023.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from forecasting.series import TimeSeries
from forecasting.unsteady import unsteadied

if TYPE_CHECKING:
    from forecasting.series import FloatArray

__all__ = ["any_series", "generate_series"]

_DAY, _WEEK = 86400, 604800
_MONDAY = 1_736_121_600  # 2025-01-06: an arbitrary Monday that series begin after
# Intervals of jobs that run by the clock, seconds.
_INTERVALS = (600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, _DAY, _DAY, _DAY)
_SMALLEST = 1e-9
_STEPS = (60, 60, 60, 30, 300, 300)


def any_series(random: np.random.Generator, *, days: tuple[float, float], unsteady: bool = False) -> TimeSeries:
    """A generated series of any step that workloads are watched at, and of so many days, at least and at most."""
    step = int(random.choice(_STEPS))
    return generate_series(random, days=float(random.uniform(*days)), step=step, unsteady=unsteady)


def generate_series(random: np.random.Generator, *, days: float, step: int = 60, unsteady: bool = False) -> TimeSeries:
    """A load that could be a workload's.

    Args:
        random: Where all of it is drawn from.
        days: Its length.
        step: Seconds between samples.
        unsteady: Whether its minutes may be as `forecasting.unsteady` makes them, too.

    Returns:
        The series, never negative, of any size from 1 to 10 million; a few have samples missing.
    """
    n = max(1, round(days * _DAY / step))
    start = (_MONDAY + int(random.integers(0, _WEEK))) // step * step
    time = (start + step * np.arange(n)).astype(np.float64)
    log = _rhythm(random, time)
    log += _wandering(random, n, step)
    log += _growth(random, time - start)
    log += _shifts(random, n, step)
    load = np.exp(np.clip(log, -12.0, 12.0))
    if random.random() < 0.15:
        load *= _switched(random, time)
    if unsteady:
        load = unsteadied(random, load, time)
    load += _jobs(random, time, float(load.mean()))
    load *= _crowds(random, n, step)
    load = _noisy(random, load)
    return TimeSeries(start, step, _with_gaps(random, load))


def _chance(random: np.random.Generator, probability: float) -> bool:
    return bool(random.random() < probability)


def _rhythm(random: np.random.Generator, time: FloatArray) -> FloatArray:
    """Log of the day's and the week's shape."""
    hour = time % _DAY / 3600
    log = np.zeros(time.size)
    if _chance(random, 0.8):  # smooth: a few harmonics, in a zone of its own
        size = random.lognormal(-0.7, 0.7)
        for harmonic in range(1, int(random.integers(2, 5))):
            phase = random.uniform(0, 2 * math.pi)
            log += size / harmonic**1.3 * np.sin(2 * math.pi * harmonic * hour / 24 + phase)
    if _chance(random, 0.35):  # business hours, with edges of a few minutes to two hours
        begin, length, edge = random.uniform(0, 24), random.uniform(5, 14), random.uniform(0.05, 2.0)
        since = (hour - begin) % 24
        log += random.uniform(0.3, 2.5) / (
            1 + np.exp(np.clip((np.abs(since - length / 2) - length / 2) / edge, -50, 50))
        )
    day = ((time + random.uniform(0, _DAY)) // _DAY).astype(np.int64)
    if _chance(random, 0.6):  # two days of rest
        log[(day + int(random.integers(0, 7))) % 7 < 2] += random.normal(-0.4, 0.4)
    if _chance(random, 0.5):  # each day is a little different
        log += random.normal(0, random.uniform(0.02, 0.25), int(day.max() - day.min()) + 1)[day - day.min()]
    return log


def _wandering(random: np.random.Generator, n: int, step: int) -> FloatArray:
    """Log of what drifts and comes back, on scales of minutes to days."""
    log = np.zeros(n)
    for _ in range(int(random.integers(1, 4))):
        memory = math.exp(random.uniform(math.log(180), math.log(_DAY)))
        size = random.lognormal(-2.5, 0.9)
        keep = math.exp(-step / memory)
        log += _recursed(random.normal(0, size * math.sqrt(1 - keep**2), n), keep)
    return log


def _recursed(shocks: FloatArray, keep: float) -> FloatArray:
    """x[i] = keep x[i - 1] + shocks[i], in blocks that one product with powers of `keep` solves."""
    block = 64
    padded = np.concatenate([shocks, np.zeros(-len(shocks) % block)]).reshape(-1, block)
    lag = np.arange(block)[:, None] - np.arange(block)
    inside = padded @ np.where(lag >= 0, keep ** np.maximum(lag, 0), 0.0).T
    carried, powers = 0.0, keep ** np.arange(1, block + 1)
    for i in range(len(inside)):
        inside[i] += carried * powers
        carried = inside[i, -1]
    return np.asarray(inside.reshape(-1)[: len(shocks)])


def _growth(random: np.random.Generator, since: FloatArray) -> FloatArray:
    return since / _WEEK * (random.normal(0, 0.12) if _chance(random, 0.4) else 0.0)


def _shifts(random: np.random.Generator, n: int, step: int) -> FloatArray:
    """Log of a level that changes at once, a few times a month, and stays."""
    log = np.zeros(n)
    if _chance(random, 0.3):
        for _ in range(int(random.poisson(n * step / _WEEK)) + 1):
            log[int(random.integers(0, n)) :] += random.normal(0, 0.4)
    return log


def _switched(random: np.random.Generator, time: FloatArray) -> FloatArray:
    """On and off: some of every day by the clock, or at random."""
    idle = random.choice([0.0, 0.01, 0.05])
    if _chance(random, 0.5):
        begin, length = random.uniform(0, _DAY), random.uniform(0.05, 0.6) * _DAY
        jitter = random.normal(0, random.choice([30.0, 300.0, 1200.0]), int(time[-1] // _DAY - time[0] // _DAY) + 2)
        late = jitter[((time - begin) // _DAY - (time[0] - begin) // _DAY).astype(np.int64)]
        return np.where((time - begin - late) % _DAY < length, 1.0, idle)
    step = time[1] - time[0] if time.size > 1 else 60.0
    mean = np.exp(random.uniform(math.log(1800), math.log(_DAY / 2), 2))
    lengths = random.exponential(mean, (int(2 * time.size * step / mean.sum()) + 8, 2)).reshape(-1)
    changes = np.cumsum(lengths) + time[0]
    return np.where(np.searchsorted(changes, time) % 2 == 0, 1.0, idle)


def _jobs(random: np.random.Generator, time: FloatArray, mean: float) -> FloatArray:
    """Load of jobs that run by the clock, more or less on time."""
    load = np.zeros(time.size)
    for _ in range(int(random.choice([0, 0, 1, 2, 3]))):
        every = int(random.choice(_INTERVALS))
        offset = random.choice([0.0, 60.0, 300.0, random.uniform(0, every)])
        number = ((time - offset) // every).astype(np.int64)
        runs = number - number.min()
        count = int(runs.max()) + 1
        late = np.abs(random.normal(0, random.choice([0.0, 20.0, 120.0, 600.0]), count))[runs]
        length = min(0.9 * every, math.exp(random.uniform(math.log(60), math.log(7200))))
        height = mean * random.lognormal(0.5, 1.0) * random.lognormal(0, random.choice([0.0, 0.1, 0.5]), count)[runs]
        since = time - offset - number * every - late
        inside = (since >= 0) & (since < length)
        shape = np.exp(-2 * since / length) if _chance(random, 0.4) else 1.0
        skipped = (random.random(count) < random.choice([0.0, 0.0, 0.1]))[runs]
        load += np.where(inside & ~skipped, height * shape, 0.0)
    return load


def _crowds(random: np.random.Generator, n: int, step: int) -> FloatArray:
    """Factor of bursts that nobody announced: up at once or within minutes, down exponentially."""
    factor = np.ones(n)
    if not _chance(random, 0.5):
        return factor
    # rare ones that dwarf the rest: seen once, nothing tells them from a daily job but that they do not come again
    sharp = _chance(random, 0.5)
    a_day = math.exp(random.uniform(math.log(0.2), math.log(2.0 if sharp else 12.0)))
    for _ in range(int(random.poisson(a_day * n * step / _DAY))):
        begin = int(random.integers(0, n))
        height = min(
            200.0, random.lognormal(2.0, 1.2) if sharp else random.uniform(0.2, 1.0) * (1 + random.pareto(2.0))
        )
        decay = math.exp(random.uniform(math.log(60), math.log(3600.0 if sharp else 7200.0))) / step
        rise = max(1, round(random.choice([30.0, 120.0, 600.0]) / step))
        length = min(n - begin, rise + int(6 * decay) + 1)
        since = np.arange(length, dtype=np.float64)
        factor[begin : begin + length] += height * np.where(
            since < rise, (since + 1) / rise, np.exp(-(since - rise) / decay)
        )
    return factor


def _noisy(random: np.random.Generator, load: FloatArray) -> FloatArray:
    """The load as it is measured: of some size, as counts, with relative noise or without."""
    size = 10.0 ** random.uniform(0.0, 6.0)
    rate = load / max(float(load.mean()), _SMALLEST) * size
    kind = random.random()
    if kind < 0.4:
        rate = rate * random.lognormal(0, random.lognormal(-3.0, 1.0), load.size)
    elif kind < 0.5:  # heavy tails
        rate = rate * np.exp(np.clip(random.standard_t(3, load.size) * random.lognormal(-3.0, 0.8), -3, 3))
    if size < 1e4 and _chance(random, 0.6):
        rate = random.poisson(np.minimum(rate, 1e12)).astype(np.float64)
    return np.asarray(np.minimum(rate, 1e12))


def _with_gaps(random: np.random.Generator, load: FloatArray) -> FloatArray:
    if _chance(random, 0.15):
        load = load.copy()
        load[random.random(load.size) < 0.01] = np.nan
        begin = int(random.integers(0, load.size))
        load[begin : begin + int(random.integers(1, max(2, load.size // 50)))] = np.nan
    return load
